"""A studio with a login: who is asked, how they come in and out, and what a wrong token looks like."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from brightrun.jobs.studio import Studio
from tests.browser.accessibility import grave_faults
from tests.browser.chromium import DESKTOP, PHONE, THEMES, Theme, a_visit, overflow
from tests.browser.served import served
from tests.unit.test_web_access import a_token, guarded
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_job, a_studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with a_studio(tmp_path_factory.mktemp("guarded")) as (studio, _):
        yield studio


@pytest.fixture(scope="module")
def door(studio: Studio) -> Iterator[str]:
    with served(studio, guarded(studio)) as base:
        yield base


def test_one_signs_in_where_one_wanted_to_go_and_out_again(chromium: Browser, studio: Studio, door: str) -> None:
    job = a_job(studio)
    _, secret = a_token(studio, ME)
    with a_visit(chromium, door) as visit:
        visit.expected.append("status of 401")
        page = visit.page(f"/jobs/{job.id}")
        assert page.url.startswith(f"{door}/login?next=")
        expect(page.get_by_label("API token")).to_be_focused()
        page.keyboard.type("br_not-a-token")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert "br_not-a-token" not in page.content()
        page.get_by_label("API token").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{door}/jobs/{job.id}")
        expect(page.locator("h1")).to_have_text(job.name)
        assert secret not in page.content()
        (cookie,) = [each for each in visit.context.cookies() if each["name"] != "brightrun_theme"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] in {"Lax", "Strict"}
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{door}/login")
        visit.go(page, f"/jobs/{job.id}")
        assert page.url.startswith(f"{door}/login?next=")


def test_what_belongs_to_somebody_else_is_nowhere(chromium: Browser, studio: Studio, door: str) -> None:
    theirs = a_job(studio, owner_id=SOMEBODY_ELSE)
    _, secret = a_token(studio, ME)
    with a_visit(chromium, door) as visit:
        visit.expected.append("status of 404")
        page = visit.page("/login")
        page.get_by_label("API token").fill(secret)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        visit.go(page, f"/jobs/{theirs.id}", status=404)
        visit.go(page, "/")
        assert theirs.id not in page.content()


@pytest.mark.parametrize("theme", THEMES)
def test_the_login_can_be_used_by_everybody(chromium: Browser, door: str, theme: Theme) -> None:
    for width in (PHONE, DESKTOP):
        with a_visit(chromium, door, theme=theme, width=width) as visit:
            visit.expected.append("status of 401")
            page = visit.page("/login")
            assert grave_faults(page) == []
            page.get_by_label("API token").fill("br_wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_be_visible()
            assert grave_faults(page) == []
            assert overflow(page) == 0
