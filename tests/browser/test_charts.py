"""Charts under the pointer and under the arrow keys, on a page whose parts are drawn anew all the time."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from brightrun.database import jobs, metrics
from brightrun.database.metrics import MetricPoint
from tests.browser.chromium import PHONE, a_visit
from tests.browser.seeded import Seeded
from tests.unit.web_studio import START

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def curve(page: Page) -> Locator:
    return page.locator("#curve svg[data-points]:visible")


def point_at(page: Page, share: float) -> None:
    """The pointer at a share of the chart's width."""
    curve(page).scroll_into_view_if_needed()
    box = curve(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


@pytest.mark.parametrize("width", [PHONE, 1440])
def test_the_pointer_shows_values_and_takes_them_away(chromium: Browser, base: str, seeded: Seeded, width: int) -> None:
    with a_visit(chromium, base, width=width) as visit:
        page = visit.page(f"/jobs/{seeded.completed}")
        readout = page.locator(".chart-readout")
        expect(readout).to_have_count(0)
        point_at(page, 0.5)
        expect(readout).to_contain_text(re.compile(r"Step \d+.*Training loss, smoothed.*2\.\d+"))
        expect(readout).to_contain_text("Validation loss")
        expect(page.locator(".chart-cross")).to_have_count(1)
        first = readout.inner_text()
        point_at(page, 0.7)
        expect(readout).not_to_have_text(first)
        inside = readout.evaluate(
            "e => { const b = e.getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth }"
        )
        assert inside
        page.mouse.move(2, 2)
        expect(readout).to_have_count(0)
        expect(page.locator(".chart-cross")).to_have_count(0)


def test_arrow_keys_step_along_the_curve_and_say_what_is_there(chromium: Browser, base: str, seeded: Seeded) -> None:
    with a_visit(chromium, base) as visit:
        page = visit.page(f"/jobs/{seeded.completed}")
        chart = curve(page)
        expect(chart).to_have_role("slider")
        expect(chart).to_have_attribute("aria-valuemax", "120")
        chart.focus()
        for key, step in (("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 120)):
            chart.press(key)
            expect(chart).to_have_attribute("aria-valuenow", str(step))
            expect(chart).to_have_attribute("aria-valuetext", re.compile(rf"^Step {step}, .*loss"))
        chart.press("ArrowRight")
        expect(chart).to_have_attribute("aria-valuenow", "120")
        chart.press("Escape")
        expect(page.locator(".chart-readout")).to_have_count(0)


def test_a_curve_that_grows_goes_on_where_the_reader_was(chromium: Browser, base: str, seeded: Seeded) -> None:
    with a_visit(chromium, base) as visit:
        page = visit.page(f"/jobs/{seeded.running}")
        chart = curve(page)
        chart.focus()
        chart.press("Home")
        chart.press("ArrowRight")
        told = chart.get_attribute("aria-valuetext")
        grow(seeded, 43)
        page.evaluate("dispatchEvent(new Event('online'))")  # every live part is asked for anew
        expect(chart).to_have_attribute("aria-valuemax", "43")
        expect(chart).to_be_focused()
        expect(chart).to_have_attribute("aria-valuetext", str(told))
        expect(page.locator(".chart-readout")).to_have_count(1)
        chart.press("End")
        expect(chart).to_have_attribute("aria-valuetext", re.compile("^Step 43, "))
        expect(page.locator("#now")).to_contain_text("step 43 of 120")
        expect(page).to_have_title(re.compile("^36 % · "))


def grow(seeded: Seeded, step: int) -> None:
    """A step that the worker tells of."""
    with seeded.studio.database.session() as session:
        metrics.record(
            session,
            seeded.running,
            attempt=1,
            points=[MetricPoint(kind="train", step=step, loss=2.5, recorded_at=START)],
        )
        job = jobs.get(session, seeded.running)
        assert job is not None
        jobs.change_if(session, job.id, expected=[job.status], current_step=step)


def test_a_tab_changes_the_curve_and_not_the_page(chromium: Browser, base: str, seeded: Seeded) -> None:
    with a_visit(chromium, base) as visit:
        page = visit.page(f"/jobs/{seeded.completed}")
        page.evaluate("document.body.dataset.same = 'yes'")
        page.get_by_role("link", name="Gradient norm").click()
        expect(curve(page)).to_have_attribute("id", "curve-grad-norm-wide")
        expect(page).to_have_url(re.compile(r"\?measure=grad_norm$"))
        expect(page.locator("body[data-same]")).to_have_count(1)
        point_at(page, 0.5)
        expect(page.locator(".chart-readout")).to_contain_text("Gradient norm, each step")
        page.reload()
        expect(curve(page)).to_have_attribute("id", "curve-grad-norm-wide")


def test_a_retry_shows_what_changes_before_it_is_sent(chromium: Browser, base: str, seeded: Seeded) -> None:
    with a_visit(chromium, base) as visit:
        page = visit.page(f"/jobs/{seeded.failed}")
        page.get_by_role("button", name="Try again").click()
        dialog = page.locator("#retry")
        expect(dialog).to_contain_text("Nothing: the same job once more.")
        page.locator("#retry-learning_rate").fill("0.0001")
        row = dialog.locator("[data-changes] tbody tr")
        expect(row).to_have_text("learning_rate0.00020.0001")
        page.locator("#retry-learning_rate").fill("0.0002")
        expect(row).to_have_count(0)
