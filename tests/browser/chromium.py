"""Debian's Chromium, driven by Playwright: where it is, how it starts, what of it is recorded."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
PHONE, DESKTOP = 390, 1440
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class ChromiumMissing(RuntimeError):
    """There is no Chromium on this machine."""


def find_chromium() -> str:
    """The program's path. Raises ChromiumMissing."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise ChromiumMissing("Chromium is not installed (Debian: apt-get install chromium)")
    return found


def start_chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*_ARGUMENTS])


@dataclass
class Visit:
    """One person's browser window at one studio, and everything it asked for or complained about.

    A refused answer is logged by Chromium as an error of the console; those that a test wants stand in `expected`.
    """

    base: str
    context: BrowserContext
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.context.on("console", lambda said: self._hear(said.type, said.text, said.page))
        self.context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        self.context.set_default_timeout(15_000)

    def page(self, path: str | None = "/") -> Page:
        """A new tab, with that page open."""
        page = self.context.new_page()
        if path is not None:
            self.go(page, path)
        return page

    def go(self, page: Page, path: str, *, status: int = 200) -> None:
        answer = page.goto(self.base + path)
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"

    def elsewhere(self) -> list[str]:
        """What was asked of anyone but the studio; `blob:` and `data:` never leave the window."""
        own = urlsplit(self.base)[:2]
        return [url for url in self.asked if urlsplit(url)[:2] != own and not url.startswith(("blob:", "data:"))]

    def unexpected(self) -> list[str]:
        return [said for said in self.complaints if not any(re.search(one, said) for one in self.expected)]

    def check(self) -> None:
        """It asked nobody else, and had nothing to complain about: no script failed, the page's rules held."""
        assert self.asked, "the window asked for nothing"
        assert self.elsewhere() == []
        assert self.unexpected() == []

    def _hear(self, kind: str, text: str, page: Page | None) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(f"{kind}: {text} ({page.url if page else 'no page'})")


@contextmanager
def a_visit(
    browser: Browser, base: str, *, theme: Theme = "light", width: int = DESKTOP, checked: bool = True
) -> Iterator[Visit]:
    """A fresh window with no cookie. At the end it is checked that nothing left the studio and nothing went wrong."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, accept_downloads=True, locale="en-GB"
    )
    visit = Visit(base, context)
    try:
        yield visit
        if checked:
            visit.check()
    finally:
        context.close()


def overflow(page: Page) -> int:
    """Pixels by which a page is wider than its window."""
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))
