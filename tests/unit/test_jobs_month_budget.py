"""An owner's month in money: what is spent, promised and left, and when the budget would be crossed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brightrun.database import budgets, jobs
from brightrun.jobs.month_budget import Flow, crossing, month_budget, month_of
from tests.studio_world import OWNER, World

USD = Decimal


@pytest.mark.parametrize(
    ("left", "flows", "hours"),
    [
        (0, [Flow(USD(2), None)], 0.0),
        (-1, [], 0.0),
        (10, [], None),
        (10, [Flow(USD(0), None)], None),
        (10, [Flow(USD(2), None)], 5.0),
        (10, [Flow(USD(2), USD(9))], None),
        (10, [Flow(USD(2), USD(10))], 5.0),
        (10, [Flow(USD(2), USD(4)), Flow(USD(1), None)], 6.0),  # 2 h at 3, then 4 h at 1
        (10, [Flow(USD(2), USD(4)), Flow(USD(1), USD(5))], None),
        (9, [Flow(USD(2), USD(4)), Flow(USD(1), USD(5))], 5.0),
    ],
)
def test_crossing(left: int, flows: list[Flow], hours: float | None) -> None:
    expected = None if hours is None else timedelta(hours=hours)
    assert crossing(USD(left), flows) == expected


def test_a_month_is_one_of_the_calendar_in_utc() -> None:
    east = datetime.fromisoformat("2027-01-01T00:30:00+02:00")
    assert month_of(east) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_a_studio_without_budget_and_jobs(tmp_path: Path) -> None:
    month = month_budget(World(tmp_path).studio, owner_id=OWNER)
    assert (month.month, month.monthly_budget_usd, month.remaining_usd, month.spent_percent) == (
        "2026-11",
        None,
        None,
        None,
    )
    assert (month.spent_usd, month.reserved_usd, month.usd_per_hour, month.crosses_at) == (0, 0, 0, None)


def test_the_setting_counts_until_the_owner_has_a_budget(tmp_path: Path) -> None:
    world = World(tmp_path)
    studio = replace(world.studio, monthly_budget_usd=USD(50))
    assert month_budget(studio, owner_id=OWNER).is_default
    with world.database.session() as session:
        budgets.save(session, OWNER, monthly_budget_usd=USD(0), default_job_cap_usd=None, now=world.clock())
    month = month_budget(studio, owner_id=OWNER)
    assert (month.is_default, month.monthly_budget_usd, month.spent_percent) == (False, 0, 100.0)


def test_spent_committed_left_and_forecast(tmp_path: Path) -> None:
    """One job runs at 3.60 USD an hour with a cap, one waits with an estimate only, one with neither."""
    world = World(tmp_path)
    running, waiting, unknown = (world.add_job(f"job-{number}") for number in (1, 2, 3))
    studio = replace(world.studio, monthly_budget_usd=USD(20))
    with world.database.session() as session:
        for job_id, values in {
            running: {"job_cap_usd": USD(9), "estimated_cost_usd": USD(6)},
            waiting: {"estimated_cost_usd": USD(4)},
            unknown: {"next_check_at": None},
        }.items():
            job = jobs.get(session, job_id)
            assert job is not None
            jobs.change_if(session, job_id, expected=[job.status], **values)
            if job_id != running:
                jobs.change_if(session, job_id, expected=[job.status], next_check_at=None)
    world.live(until=lambda: bool(world.leases(running)) and world.leases(running)[0].launched_at is not None)
    world.clock.turn(30 * 60)
    month = month_budget(studio, owner_id=OWNER)
    assert month.spent_usd == USD("1.80")
    assert month.reserved_usd == USD("7.20") + USD(4)
    assert month.unestimated_jobs == 1
    assert month.remaining_usd == USD(20) - USD("1.80") - USD("11.20")
    assert month.usd_per_hour == USD("3.60")
    assert month.forecast_usd == USD("1.80") + USD("4.20") + USD(4)
    assert month.crosses_at is None  # the cap comes first
    tight = month_budget(replace(studio, monthly_budget_usd=USD(9)), owner_id=OWNER)
    assert tight.crosses_at == world.clock() + timedelta(hours=2)
    assert tight.remaining_usd == USD("-4.00")
