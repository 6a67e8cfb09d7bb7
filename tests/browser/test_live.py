"""A job that trains with the real worker, watched: refreshed, in two tabs, with the cable cut; cancelled; failed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.cable import a_cable
from tests.browser.chromium import a_visit
from tests.browser.journeys import Trainer, a_trainer
from tests.served_studio import processes_of, until

pytestmark = [pytest.mark.browser, pytest.mark.worker, pytest.mark.slow]

_LIVE_MS = 20_000
_CUT_SECONDS = 20.0


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory, tiny_model: Any, sample_dataset: Any) -> Iterator[Trainer]:
    with a_trainer(tmp_path_factory.mktemp("live"), tiny_model, sample_dataset) as trainer:
        yield trainer


def shown_step(page: Page) -> int | None:
    """The step that the page tells, None while it tells none."""
    found = re.search(r"step ([\d,]+)", page.locator(".step-line").inner_text())
    return None if found is None else int(found[1].replace(",", ""))


def reach(page: Page, step: int) -> None:
    """Wait until the page itself, untouched, tells that step or a later one."""
    until(lambda: _at_least(page, step), seconds=60)


def _at_least(page: Page, step: int) -> bool:
    page.wait_for_timeout(100)  # lets the page's own scripts and events through
    shown = shown_step(page) if page.locator(".step-line").count() else None
    return shown is not None and shown >= step


def drawn_steps(page: Page) -> list[int]:
    """The steps whose training loss the chart carries."""
    data = page.locator("#curve svg[data-points]").first.get_attribute("data-points")
    assert data is not None
    curve = max(json.loads(data)["series"], key=lambda series: len(series["x"]))
    return [int(step) for step in curve["x"]]


def test_refreshed_doubled_and_cut_off_it_loses_nothing(chromium: Browser, trainer: Trainer) -> None:
    job_id = trainer.starts(num_epochs=4)
    path = f"/jobs/{job_id}"
    with a_cable(trainer.place.port) as cable, a_visit(chromium, cable.url) as visit:
        visit.expected.append("ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)")
        first = visit.page(path)
        reach(first, 2)
        first.reload()
        at = shown_step(first)
        assert at is not None, "what was known before the refresh is there at once"
        assert at >= 2
        second = visit.page(path)
        reach(first, at + 1)
        reach(second, at + 1)

        cable.cut()
        began = time.monotonic()
        expect(first.locator("[data-offline]")).to_be_visible(timeout=_LIVE_MS)
        before = shown_step(first)
        assert before is not None
        second.wait_for_timeout(1000 * max(0.0, _CUT_SECONDS - (time.monotonic() - began)))
        assert shown_step(first) == before, "what was seen before stays to be read"
        cable.fix()

        for page in (first, second):
            expect(page.locator("[data-offline]")).to_be_hidden(timeout=_LIVE_MS)
        job = trainer.place.ended(job_id)
        assert job["status"] == "completed", job
        for page in (first, second):
            expect(page.locator(".job-now")).to_have_attribute("data-status", "completed", timeout=_LIVE_MS)
            expect(page.get_by_role("link", name="Before and after")).to_be_visible()
            assert shown_step(page) == job["total_steps"]
            assert drawn_steps(page) == list(range(1, job["total_steps"] + 1))


def test_cancelled_on_the_page_its_process_ends(chromium: Browser, trainer: Trainer) -> None:
    job_id = trainer.starts(num_epochs=100)
    with a_visit(chromium, trainer.place.url) as visit:
        page = visit.page(f"/jobs/{job_id}")
        reach(page, 1)
        page.get_by_role("button", name="Cancel", exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert trainer.place.job(job_id)["status"] == "training"
        page.get_by_role("button", name="Cancel", exact=True).click()
        dialog.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".job-now")).to_have_attribute("data-status", "cancelled", timeout=_LIVE_MS)
        until(lambda: not processes_of(job_id), seconds=10)
        expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=_LIVE_MS)


def test_a_job_that_fails_says_why_and_what_to_do(chromium: Browser, trainer: Trainer) -> None:
    job_id = trainer.starts_without_its_model()
    with a_visit(chromium, trainer.place.url) as visit:
        page = visit.page(f"/jobs/{job_id}")
        expect(page.locator(".job-now")).to_have_attribute("data-status", "failed", timeout=90_000)
        told = page.get_by_role("alert")
        expect(told).to_contain_text("The base model could not be obtained or is damaged.")
        expect(told).to_contain_text("Pull it again: brightrun model pull --again tiny-llama")
        expect(page).to_have_title(re.compile("^Failed"))
