"""The first page: what runs, what ended, what needs attention, what it cost; and the way in for who has nothing yet."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, budgets, jobs
from brightrun.database.tables import TrainingJob
from brightrun.jobs.studio import Studio
from tests.unit.web_studio import ME, SOMEBODY_ELSE, HandClock, a_file, a_job

HTML = {"accept": "text/html,*/*"}


def forward(studio: Studio, **time: float) -> None:
    assert isinstance(studio.clock, HandClock)
    studio.clock.forward(**time)


def text(client: TestClient, path: str = "/") -> str:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def leased(studio: Studio, job: TrainingJob, price: str) -> None:
    """The job's machine runs from now on."""
    with studio.database.session() as session:
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        attempts.save(session, attempt.id, launched_at=studio.clock(), price_usd_per_hour=Decimal(price))


def test_a_new_owner_is_led_by_the_hand(studio: Studio, client: TestClient) -> None:
    page = client.get("/", headers=HTML).text
    assert 'data-action="POST /api/training/files/sample"' in page
    assert "No base model is on this machine yet." in page
    assert "brightrun model pull smollm2-135m-instruct" in page
    steps = lambda: re.findall(r'<li class="(now|done|later)"', client.get("/", headers=HTML).text)  # noqa: E731
    assert steps() == ["now", "later", "later"]
    a_file(studio, owner_id=SOMEBODY_ELSE)
    assert steps() == ["now", "later", "later"]
    file = a_file(studio)
    assert steps() == ["done", "now", "later"]
    a_job(studio, file_id=file.id)
    assert steps() == ["done", "done", "now"]
    a_job(studio, file_id=file.id, status=JobStatus.COMPLETED, completed_at=studio.clock())
    assert steps() == []


def test_what_runs_is_told_with_step_time_left_and_cost(studio: Studio, client: TestClient) -> None:
    job = a_job(
        studio, current_step=30, total_steps=120, metrics={"seconds_left": 600.0}, estimated_cost_usd=Decimal("4.00")
    )
    leased(studio, job, "2.50")
    a_job(studio, owner_id=SOMEBODY_ELSE, current_step=77, total_steps=99)
    forward(studio, hours=1)
    for path in ("/", "/home/now"):
        shown = text(client, path)
        assert "step 30 of 120" in shown
        assert "about 10 min 00 s left" in shown
        assert "$2.50 so far, $4.00 expected" in shown
        assert "77 of 99" not in shown
    assert '<progress class="progress " max="1000" value="250"' in client.get("/", headers=HTML).text


def test_what_is_not_known_is_said_so(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, status=JobStatus.PROVISIONING)
    with studio.database.session() as session:
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        attempts.save(session, attempt.id, launched_at=studio.clock())
    shown = text(client)
    assert "not started" in shown
    assert "time left not known" in shown
    assert "cost not known" in shown
    assert "November Not known" in shown
    assert "No hourly price is set for 1 machine." in shown
    assert "$0.00" not in shown
    assert "It is not known what was spent in November" in text(client, "/settings")
    leased(studio, a_job(studio), "2.00")
    forward(studio, hours=2)
    shown = text(client)
    assert "November $4.00 spent" in shown
    assert "Not in it: 1 machine with no hourly price." in shown


def test_failed_and_stuck_jobs_need_attention_until_they_are_seen_to(studio: Studio, client: TestClient) -> None:
    assert "Needs attention" not in text(client)
    failed = a_job(
        studio,
        status=JobStatus.FAILED,
        reason=EndReason.OUT_OF_MEMORY,
        completed_at=studio.clock(),
        message="At step 3.",
    )
    a_job(studio, owner_id=SOMEBODY_ELSE, status=JobStatus.FAILED, completed_at=studio.clock())
    shown = text(client)
    assert EndReason.OUT_OF_MEMORY.text.words in shown
    assert shown.count("Look") == 1
    again = a_job(studio, status=JobStatus.QUEUED, attempt=0, file_id=failed.training_file_id, retry_of=failed.id)
    assert "Needs attention" not in text(client)
    forward(studio, hours=2)
    assert "“Queued” since" in text(client)
    forward(studio, days=8)
    with studio.database.session() as session:
        jobs.change_if(session, again.id, expected=[JobStatus.QUEUED], status=JobStatus.CANCELLED)
    assert "Needs attention" not in text(client)


@pytest.mark.parametrize(
    ("month", "hours", "told"),
    [
        ("100", 1, None),
        ("12", 4, "83 % of the month's budget are spent."),
        ("10", 4, "The month's budget is used up."),
        ("1000", 300, None),
    ],
)
def test_the_month_is_told_against_its_budget(
    studio: Studio, client: TestClient, month: str, hours: float, told: str | None
) -> None:
    with studio.database.session() as session:
        budgets.save(session, ME, monthly_budget_usd=Decimal(month), default_job_cap_usd=None, now=studio.clock())
    job = a_job(studio, status=JobStatus.FAILED)
    with studio.database.session() as session:
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        begun = studio.clock() - timedelta(hours=hours)
        attempts.save(session, attempt.id, launched_at=begun, price_usd_per_hour=Decimal("2.50"))
        attempts.close_lease(
            session, attempt.id, ended_at=studio.clock(), end_reason=None, cost_usd=Decimal("2.50") * Decimal(hours)
        )
    shown = text(client)
    if told is None:
        assert "month's budget" not in shown.replace("Spent of the month's budget", "")
    else:
        assert told in shown
    assert f"of ${Decimal(month):,.2f}" in shown


def test_a_budget_that_will_be_crossed_is_told_before(studio: Studio, client: TestClient) -> None:
    with studio.database.session() as session:
        budgets.save(session, ME, monthly_budget_usd=Decimal(20), default_job_cap_usd=None, now=studio.clock())
    leased(studio, a_job(studio, job_cap_usd=Decimal(30)), "2.00")
    forward(studio, hours=1)
    shown = text(client)
    assert "The month's budget will not last." in shown
    assert "23 Nov 2096, 19:00 UTC" in shown


def test_the_last_result_is_told_and_a_missing_one_too(studio: Studio, client: TestClient) -> None:
    a_job(studio, status=JobStatus.COMPLETED, completed_at=studio.clock())
    shown = text(client)
    assert "Latest result" in shown
    assert "It delivered no comparison that can be read." in shown
    assert "Before and after" not in shown
