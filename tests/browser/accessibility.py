"""axe-core on a page, as the package axe-playwright-python carries it. Only serious and critical findings count."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_GRAVE = {"serious", "critical"}
_RULES = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
}


def grave_faults(page: Page) -> list[str]:
    """Each fault in a line: the rule, what it says, where, and the first element's own complaint."""
    found: list[dict[str, Any]] = Axe().run(page, options=_RULES).response["violations"]
    return [_line(fault) for fault in found if fault["impact"] in _GRAVE]


def _line(fault: dict[str, Any]) -> str:
    first = fault["nodes"][0]
    places = ", ".join(str(node["target"]) for node in fault["nodes"][:4])
    return f"{fault['id']} ({fault['impact']}): {fault['help']}: {places}: {first['failureSummary']}: {first['html']}"
