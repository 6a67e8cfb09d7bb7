"""A dataset of one's own for validation, in the browser: chosen in the form, seen in the plan, told by the job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from brightrun.jobs.add_dataset import add_dataset
from tests.browser.accessibility import grave_faults
from tests.browser.chromium import PHONE, THEMES, Theme, a_visit, overflow
from tests.browser.served import served
from tests.unit.test_datasets_builders import chat_record, said, write_lines
from tests.unit.web_studio import ME, a_studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, 1440])
def test_a_job_is_started_with_a_validation_dataset(
    chromium: Browser, tmp_path: Path, tiny_model: Path, theme: Theme, width: int
) -> None:
    with (
        a_studio(tmp_path, models=tiny_model.parent) as (studio, _),
        served(studio) as base,
        a_visit(chromium, base, theme=theme, width=width) as visit,
    ):
        ids = []
        for name, topics in {
            "mine.jsonl": ("rent", "sleep", "wills", "taxes"),
            "exam.jsonl": ("garden", "school", "letter"),
            "overlap.jsonl": ("rent", "nurse"),
        }.items():
            path = write_lines(tmp_path / name, [chat_record(said(topic)) for topic in topics])
            ids.append(add_dataset(studio, owner_id=ME, file_name=name, source=path).id)
        page = visit.page(f"/start?dataset={ids[0]}")
        select = page.get_by_label("Validation dataset")
        expect(select).to_be_hidden()
        page.get_by_role("radio", name="A file of your own").check()
        expect(select).to_be_visible()
        assert select.evaluate("one => [...one.options].filter((each) => each.disabled).map((each) => each.text)") == [
            "mine.jsonl, 4 conversations"
        ]
        select.select_option(ids[2])
        assert (grave_faults(page), overflow(page)) == ([], 0)
        page.locator('[data-step="2"] .step-foot').get_by_role("button", name="Continue").click()
        expect(page.locator("[data-review]")).to_contain_text("near-duplicates of ones in the training file")
        expect(page.get_by_role("button", name="Start training")).to_be_disabled()

        page.locator('[data-step="3"] .step-foot').get_by_role("button", name="Back").click()
        select.select_option(ids[1])
        page.locator('[data-step="2"] .step-foot').get_by_role("button", name="Continue").click()
        expect(page.locator("[data-review]")).to_contain_text("your own file exam.jsonl, 3 conversations")
        assert (grave_faults(page), overflow(page)) == ([], 0)
        page.get_by_role("button", name="Start training").click()
        expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"), timeout=30_000)
        expect(page.get_by_role("link", name="exam.jsonl")).to_be_visible()

        visit.go(page, f"/datasets/{ids[1]}")
        expect(page.get_by_text("validated by it")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_contain_text("It cannot be deleted")


def test_a_dataset_alone_cannot_validate_itself(chromium: Browser, tmp_path: Path, tiny_model: Path) -> None:
    with a_studio(tmp_path, models=tiny_model.parent) as (studio, _), served(studio) as base:
        path = write_lines(tmp_path / "mine.jsonl", [chat_record(said(topic)) for topic in ("rent", "sleep", "wills")])
        file_id = add_dataset(studio, owner_id=ME, file_name="mine.jsonl", source=path).id
        with a_visit(chromium, base) as visit:
            page = visit.page(f"/start?dataset={file_id}")
            expect(page.get_by_role("radio", name="A file of your own")).to_be_disabled()
            expect(page.get_by_role("radio", name="Drawn from the file")).to_be_checked()
