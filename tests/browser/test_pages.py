"""Every page, at both widths and in both themes: no grave fault, nothing too wide, nothing from elsewhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Response

from tests.browser.accessibility import grave_faults
from tests.browser.chromium import DESKTOP, PHONE, THEMES, Theme, a_visit, overflow
from tests.browser.seeded import Seeded

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_MOST_BYTES = 300_000


def test_faults_are_seen_where_there_are_some(chromium: Browser, base: str) -> None:
    with a_visit(chromium, base, checked=False) as visit:
        page = visit.page("/")
        assert grave_faults(page) == []
        assert overflow(page) == 0
        page.evaluate(
            "const h = document.querySelector('h1'); h.style.color = '#ddd'; h.style.width = '2000px';"
            "document.querySelector('[data-theme-switch]').removeAttribute('aria-label')"
        )
        rules = {fault.split(" ")[0] for fault in grave_faults(page)}
        assert {"button-name", "color-contrast"} <= rules
        assert overflow(page) > 0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_every_page_can_be_used_by_everybody(
    chromium: Browser, base: str, seeded: Seeded, theme: Theme, width: int
) -> None:
    found = {}
    with a_visit(chromium, base, theme=theme, width=width) as visit:
        visit.expected.append(r"status of 404 .*/nowhere\)$")
        page = visit.page(None)
        for name, path in seeded.pages().items():
            visit.go(page, path, status=404 if name == "nowhere" else 200)
            assert page.locator("h1").count() == 1, name
            faults = grave_faults(page)
            if (wider := overflow(page)) > 0:
                faults.append(f"{wider} px wider than the window")
            if faults:
                found[name] = faults
    assert found == {}


_CLIPPED = """() => [...document.querySelectorAll(".stacked td, .stacked tbody th")].filter((cell) => {
  const words = document.createRange();
  words.selectNodeContents(cell);
  const inside = cell.getBoundingClientRect();
  return [...words.getClientRects()].some((part) => part.right > inside.right + 1 || part.left < inside.left - 1)
    || cell.scrollWidth > cell.clientWidth + 1;
}).map((cell) => cell.textContent.trim().slice(0, 60))"""


def test_no_value_of_a_table_is_cut_on_a_phone(chromium: Browser, base: str, seeded: Seeded) -> None:
    """With the longest names, too: they are labels of the values beside them where runs are compared."""
    found = {}
    with a_visit(chromium, base, width=PHONE) as visit:
        visit.expected.append("status of 40")
        page = visit.page(None)
        for path in (*seeded.pages().values(), f"/compare?job={seeded.hostile}&job={seeded.completed}"):
            page.goto(base + path)
            if cut := page.evaluate(_CLIPPED):
                found[path] = cut
    assert found == {}


def test_a_page_weighs_little(chromium: Browser, base: str, seeded: Seeded) -> None:
    """All that a first visit loads, without compression."""
    for name, path in seeded.pages().items():
        with a_visit(chromium, base, checked=False) as visit:
            page = visit.page(None)
            answers: list[Response] = []
            page.on("response", lambda answer, answers=answers: answers.append(answer))
            visit.go(page, path, status=404 if name == "nowhere" else 200)
            page.wait_for_load_state("load")
            weights = {answer.url: len(answer.body()) for answer in answers if not _is_stream(answer)}
            assert len(weights) >= 3, name
            assert sum(weights.values()) < _MOST_BYTES, f"{name}: {weights}"


def _is_stream(answer: Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/event-stream")
