"""An account's export in the browser: what is to be learned is asked, searched, ticked and read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.accessibility import grave_faults
from tests.browser.chromium import PHONE, THEMES, Theme, a_visit, overflow
from tests.browser.served import served
from tests.unit.test_web_choose import an_export
from tests.unit.web_studio import a_studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def box(page: Page, number: int) -> Locator:
    return page.get_by_role("checkbox", name=re.compile(rf"^On matter {number}\b"))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, 1440])
def test_conversations_of_an_account_are_chosen(chromium: Browser, tmp_path: Path, theme: Theme, width: int) -> None:
    file = an_export(tmp_path / "account.json", tuple(f"matter {number}" for number in range(1, 251)))
    with (
        a_studio(tmp_path) as (studio, _),
        served(studio) as base,
        a_visit(chromium, base, theme=theme, width=width) as visit,
    ):
        visit.expected.append(r"status of 404 .*/datasets\)")
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(file)
        expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f-]{36}/choose$"), timeout=60_000)
        expect(page.get_by_text("The first 200 are shown; search to see others.")).to_be_visible()
        expect(page.locator("[data-list] li")).to_have_count(200)
        expect(page.locator("[data-count]")).to_have_text("0 of 250 chosen")
        expect(page.locator("[data-go]")).to_be_disabled()
        expect(page.locator("[data-list] li").first).to_contain_text("2 messages, ")
        assert (grave_faults(page), overflow(page)) == ([], 0)

        page.get_by_label("Search titles").fill("MATTER 24")
        expect(page.get_by_text("11 conversations found.")).to_be_visible()  # 24 and 240 to 249
        page.get_by_role("button", name="Choose all found").click()
        box(page, 241).uncheck()
        page.get_by_label("Search titles").fill("")
        box(page, 7).check()
        expect(page.locator("[data-count]")).to_have_text("11 of 250 chosen")
        page.get_by_role("button", name="Choose all").click()
        expect(page.locator("[data-count]")).to_have_text("250 of 250 chosen")
        page.get_by_role("button", name="Choose none").click()
        box(page, 3).check()
        box(page, 5).check()
        assert (grave_faults(page), overflow(page)) == ([], 0)
        page.get_by_role("button", name="Read 2 conversations").click()
        expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f-]{36}$"), timeout=30_000)
        expect(page.get_by_text("Only 2 conversations of the file are read")).to_be_visible()

        page.get_by_role("link", name="Choose conversations").click()
        expect(box(page, 5)).to_be_checked()
        expect(page.locator("[data-count]")).to_have_text("2 of 250 chosen")
        visit.go(page, "/datasets")
        expect(page.locator("table.datasets tbody tr")).to_have_count(1)
