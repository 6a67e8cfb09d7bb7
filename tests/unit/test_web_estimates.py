"""The page of estimates: past plans beside what came of them, what the next plans learn, and the month's budget."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.states import JobStatus
from brightrun.database import budgets, jobs
from brightrun.format import about_text
from brightrun.jobs.history import calibrate_plan, past_estimate_errors
from brightrun.planning.calibration_summary import summarize_calibration
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.estimate_error import Summary
from brightrun.planning.job_plan import JobPlan, priced
from brightrun.web.access import LoopbackAccess
from brightrun.web.pages.format import median_text, usd
from tests.studio_world import OWNER, World
from tests.unit.job_plans import make_plan
from tests.unit.web_studio import a_client

HTML = {"accept": "text/html"}


def planned() -> JobPlan:
    return priced(make_plan(steps=12), HourlyPrice(usd_per_hour=Decimal("3.60"), source="a test"))


def run_planned(world: World, name: str, *, called: str | None = None) -> None:
    """A job run to its end on a simulated machine: 120 s of training where 100 were expected."""
    world.add_job(name)
    changes = {"plan": planned(), "name": called or name}
    with world.database.session() as session:
        jobs.change_if(session, name, expected=[JobStatus.QUEUED], **changes)
    world.live(until=world.at_rest, seconds=1)


def shown(client: TestClient, path: str = "/estimates") -> str:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200
    return html.unescape(answer.text.split("<main")[-1])


def test_without_a_past_the_page_says_what_will_be_here(tmp_path: Path) -> None:
    with a_client(World(tmp_path).studio, LoopbackAccess(OWNER)) as client:
        page = shown(client)
    assert "Nothing to compare yet" in page
    assert 'href="/start"' in page
    assert "no budget is set" in page
    assert "<svg" not in page.split('id="budget-now"')[1].split("<dl")[0], "a bar of nothing against nothing"


def test_every_job_stands_beside_its_plan(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_planned(world, "job-1", called="<b>First</b>")
    run_planned(world, "job-2")
    with a_client(world.studio, LoopbackAccess(OWNER)) as client:
        raw = client.get("/estimates", headers=HTML).text
        page = shown(client)
        steps = shown(client, "/estimates?quantity=training")
        told = client.get("/api/training/estimate-accuracy").json()
    assert "<b>First</b>" not in raw
    assert "&lt;b&gt;First&lt;/b&gt;" in raw
    for job in told["jobs"]:
        assert f'href="/jobs/{job["job_id"]}"' in page
        assert f"<b>{about_text(job['duration']['actual'])}</b>" in page
        assert f"<b>{usd(job['cost']['actual'])}</b>" in page
    summary = next(each for each in told["summaries"] if each["quantity"] == "duration")
    assert f"{summary['within']} of 2 jobs landed inside the estimated range" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert 'id="accuracy-duration-wide"' in page
    assert 'id="accuracy-training-narrow"' in steps
    assert "The one in the middle came out 20 % above its estimate." in steps


@pytest.mark.parametrize(
    ("jobs_seen", "ratio", "words"),
    [
        (1, 1.002, "The one in the middle came out at its estimate."),
        (2, 2.49, "The one in the middle came out 2.5 times its estimate."),
        (3, 0.8, "The one in the middle came out 20 % below its estimate."),
        (4, 1.1, "The one in the middle came out 10 % above its estimate; half of them were off by less than 15 %."),
    ],
)
def test_how_far_off_plans_were_in_words(jobs_seen: int, ratio: float, words: str) -> None:
    seen = Summary(quantity="duration", jobs=jobs_seen, within=1, median_ratio=ratio, median_error=0.15)
    assert median_text(seen) == words


def test_what_the_next_plan_learns_is_what_it_does(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_planned(world, "job-1")
    one = summarize_calibration(past_estimate_errors(world.studio, owner_id=OWNER))
    assert [(summary.runs, summary.factors) for summary in one] == [(1, {})]
    assert "one may be odd" in one[0].words
    run_planned(world, "job-2")
    (summary,) = summarize_calibration(past_estimate_errors(world.studio, owner_id=OWNER))
    better = calibrate_plan(world.studio, OWNER, planned(), Hyperparameters())
    for phase, factor in summary.factors.items():
        assert better.phases[phase].expected_seconds == pytest.approx(planned().phases[phase].expected_seconds * factor)
    assert summary.factors["training"] == pytest.approx(1.2**0.5, rel=0.01)
    assert summary.words == "2 runs so far; the next plan counts the steps 10 % longer (×1.10)."
    with a_client(world.studio, LoopbackAccess(OWNER)) as client:
        assert summary.words in shown(client)


def test_the_budget_is_what_the_api_says(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_planned(world, "job-1")
    with a_client(world.studio, LoopbackAccess(OWNER)) as client:
        request = {"monthly_budget_usd": 20, "default_job_cap_usd": None}
        assert client.put("/api/training/budget", json=request).status_code == 200
        told = client.get("/api/training/budget").json()
        page, live = shown(client), shown(client, "/estimates/budget")
    assert told["spent_usd"] > 0
    for text in (page, live):
        assert f'<dd class="big">{usd(told["spent_usd"])}</dd>' in text
        assert f'<dd class="big">{usd(told["remaining_usd"])}</dd>' in text
        assert "budget $20.00" in text
        assert 'id="month-wide"' in text
        assert "Cap: $20.00" in text
    assert re.findall(r'name="monthly_budget_usd" [^>]*data-empty="null" value="([^"]*)"', page) == ["20"]


def test_a_month_that_is_used_up_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.database.session() as session:
        budgets.save(session, OWNER, monthly_budget_usd=Decimal(0), default_job_cap_usd=None, now=world.clock())
    with a_client(world.studio, LoopbackAccess(OWNER)) as client:
        page = shown(client)
    assert "Nothing is left of this month's budget." in page
