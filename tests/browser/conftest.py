"""One Chromium for all tests of a process; a studio with every kind of job in it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import ChromiumMissing, find_chromium, start_chromium
from tests.browser.seeded import Seeded, a_seeded_studio
from tests.browser.served import served


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    try:
        find_chromium()
    except ChromiumMissing as missing:  # in CI it must be there
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with a_seeded_studio(tmp_path_factory.mktemp("seeded")) as seeded:
        yield seeded


@pytest.fixture(scope="module")
def base(seeded: Seeded) -> Iterator[str]:
    """The address of the seeded studio."""
    with served(seeded.studio) as base:
        yield base
