"""Without a pointer, and in the theme that a person wants; what a screen reader is told; a tab that was away."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import PHONE, a_visit
from tests.browser.seeded import Seeded
from tests.unit.web_studio import a_job

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.ariaLabel"))


def test_the_first_key_leads_past_the_ways_to_the_content(chromium: Browser, base: str) -> None:
    with a_visit(chromium, base) as visit:
        page = visit.page("/jobs")
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the content"
        expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_every_stop_of_the_tab_key_can_be_seen(chromium: Browser, base: str, seeded: Seeded) -> None:
    """What has the focus shows it, and stands in the window."""
    with a_visit(chromium, base, width=PHONE) as visit:
        page = visit.page(f"/jobs/{seeded.completed}")
        seen = 0
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement === document.body"):
                break
            marked = page.evaluate(
                "(() => { const s = getComputedStyle(document.activeElement);"
                " return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 || s.boxShadow !== 'none' })()"
            )
            assert marked, focused(page)
            seen += 1
        assert seen > 10


def test_a_dialog_takes_the_focus_and_gives_it_back(chromium: Browser, base: str, seeded: Seeded) -> None:
    with a_visit(chromium, base) as visit:
        page = visit.page(f"/jobs/{seeded.running}")
        opener = page.get_by_role("button", name="Cancel", exact=True)
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert page.evaluate("document.querySelector('dialog[open]').contains(document.activeElement)")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(opener).to_be_focused()


def test_the_theme_is_switched_and_kept(chromium: Browser, base: str) -> None:
    with a_visit(chromium, base, theme="light") as visit:
        page = visit.page("/")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Switch between light and dark").click()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        visit.go(page, "/datasets")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        page.get_by_role("button", name="Switch between light and dark").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_a_tab_that_was_offline_catches_up(chromium: Browser, base: str, seeded: Seeded) -> None:
    """The browser itself knows that it is offline, says so, and asks again at once when it is back."""
    with a_visit(chromium, base) as visit:
        visit.expected.append("ERR_INTERNET_DISCONNECTED")
        page = visit.page("/")
        visit.context.set_offline(True)
        expect(page.locator("[data-offline]")).to_be_visible(timeout=15_000)
        made = a_job(seeded.studio, file_id=seeded.dataset)
        expect(page.locator("main")).not_to_contain_text("does not exist")
        visit.context.set_offline(False)
        expect(page.locator(f"main a[href='/jobs/{made.id}']").first).to_be_visible(timeout=15_000)
        expect(page.locator("[data-offline]")).to_be_hidden()
