"""Datasets, answers and names that try to be more than text: shown letter by letter, and nothing of it runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import Visit, a_visit
from tests.browser.seeded import Seeded
from tests.unit.run_reports import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_BEGINNING = '"></title></style></div><script>alert(1)'  # names in legends are not shown longer than this


def quiet_page(visit: Visit) -> tuple[Page, list[str]]:
    """A tab, and what was alerted in it."""
    alerted: list[str] = []
    page = visit.page(None)
    page.on("dialog", lambda dialog: (alerted.append(dialog.message), dialog.dismiss()))
    return page, alerted


def test_nothing_hostile_runs_and_all_of_it_is_text(chromium: Browser, base: str, seeded: Seeded) -> None:
    assert HOSTILE.startswith(_BEGINNING)
    with a_visit(chromium, base) as visit:
        page, alerted = quiet_page(visit)
        for path in seeded.hostile_pages():
            visit.go(page, path)
            for details in page.locator("main details").all():
                details.evaluate("one => one.open = true")
            text = page.locator("body").inner_text()
            assert _BEGINNING in text, path
            assert ("{{ 7*7 }}" in text) or "/compare?" in path, path
            assert page.locator("img").count() == 0, path
            assert page.locator("main script").count() == 0, path
            assert "[object" not in text, path
        assert alerted == []
        assert "evil" not in " ".join(visit.asked)


def test_the_alarm_of_this_test_rings(chromium: Browser, base: str) -> None:
    """What the test above looks for is seen where it happens, and the page's rules stop it even if it were HTML."""
    with a_visit(chromium, base, checked=False) as visit:
        page, alerted = quiet_page(visit)
        visit.go(page, "/")
        page.evaluate("setTimeout(() => alert('rung'), 0)")
        page.wait_for_timeout(200)
        assert alerted == ["rung"]
        page.evaluate("text => { document.querySelector('main').innerHTML = text }", HOSTILE)
        page.wait_for_timeout(300)
        assert alerted == ["rung"]
        assert any("Content Security Policy" in said for said in visit.unexpected())
