"""What a new job may cost: its own cap, the owner's default, what the month leaves; refused before money is spent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from brightrun.contract.states import JobStatus
from brightrun.database import budgets, jobs
from brightrun.errors import OverBudget, PriceUnknown
from brightrun.jobs.month_budget import month_budget
from brightrun.jobs.resolve_cap import resolve_cap
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.job_plan import JobPlan, priced
from tests.studio_world import OWNER, World
from tests.unit.job_plans import make_plan

USD = Decimal


class Money:
    """A studio with a month's budget and a default cap; `cap_of` submits a job as far as its money goes."""

    def __init__(self, home: Path, *, month: str | None = None, default_job_cap: str | None = None) -> None:
        self.world = World(home)
        self.studio = replace(self.world.studio, monthly_budget_usd=None if month is None else USD(month))
        if default_job_cap is not None:
            with self.studio.database.session() as session:
                budgets.save(
                    session,
                    OWNER,
                    monthly_budget_usd=None,
                    default_job_cap_usd=USD(default_job_cap),
                    now=self.studio.clock(),
                )

    def cap_of(
        self, name: str, expected: str | None, *, asked: str | None = None, high: str | None = None
    ) -> Decimal | None:
        """The cap that a job of that estimate is given; it waits in the queue afterwards."""
        self.world.add_job(name, max_cost_usd=asked)
        values = {
            "status": JobStatus.CANCELLED,  # it is not there yet: nothing is promised to it
            "estimated_cost_usd": None if expected is None else USD(expected),
            "plan": None if high is None else _plan(high),
        }
        with self.studio.database.session() as session:
            jobs.change_if(session, name, expected=list(JobStatus), **values)
        with self.studio.database.session() as session:
            job = jobs.get(session, name)
            assert job is not None
            resolve_cap(session, self.studio, job)
            job.status = JobStatus.QUEUED
            return job.job_cap_usd


def _plan(high: str) -> JobPlan:
    """A plan whose dollars end there."""
    plan = priced(make_plan(), HourlyPrice(usd_per_hour=Decimal("3.60"), source="a test"))
    assert plan.cost is not None
    return plan.model_copy(update={"cost": plan.cost.model_copy(update={"high_usd": USD(high)})})


@pytest.mark.parametrize(
    ("asked", "default_job_cap", "month", "cap"),
    [
        (None, None, None, None),
        ("9", None, None, "9"),
        (None, "8", None, "8"),
        ("9", "8", None, "9"),
        (None, None, "50", "14"),  # twice the upper end of the estimate
        (None, None, "12", "12"),  # all that is left
        ("9", None, "50", "9"),
        ("90", None, "50", "50"),
        (None, "8", "6", "6"),
    ],
)
def test_the_cap(
    tmp_path: Path, asked: str | None, default_job_cap: str | None, month: str | None, cap: str | None
) -> None:
    money = Money(tmp_path, month=month, default_job_cap=default_job_cap)
    assert money.cap_of("job-1", "5", asked=asked, high="7") == (None if cap is None else USD(cap))


def test_a_job_of_unknown_cost_is_not_limited(tmp_path: Path) -> None:
    assert Money(tmp_path, month="50", default_job_cap="8").cap_of("job-1", None) is None


def test_a_cap_where_nobody_knows_the_price_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceUnknown, match="simulated") as refused:
        Money(tmp_path).cap_of("job-1", None, asked="9")
    assert "BRIGHTRUN_LOCAL_USD_PER_HOUR" in refused.value.hint


@pytest.mark.parametrize(
    ("asked", "default_job_cap", "words"), [("4", None, "The cap"), (None, "4", "Your default cap")]
)
def test_a_cap_that_cannot_be_enough_is_refused(
    tmp_path: Path, asked: str | None, default_job_cap: str | None, words: str
) -> None:
    with pytest.raises(OverBudget, match=rf"{words} of \$4\.00 is less than the \$5\.00") as refused:
        Money(tmp_path, default_job_cap=default_job_cap).cap_of("job-1", "5", asked=asked)
    assert refused.value.details["expected_usd"] == 5.0
    assert refused.value.http_status == 409


def test_what_is_promised_to_others_is_not_given_twice(tmp_path: Path) -> None:
    """20 USD: the first job is promised 14, the second what is left, and a third is refused while they live."""
    money = Money(tmp_path, month="20")
    assert money.cap_of("job-1", "5", high="7") == USD(14)
    assert money.cap_of("job-2", "5", high="7") == USD(6)
    with pytest.raises(OverBudget, match=r"\$0\.00 of the \$20\.00 for 2026-11 are left") as refused:
        money.cap_of("job-3", "5", high="7")
    assert "brightrun budget set" in refused.value.hint
    assert month_budget(money.studio, owner_id=OWNER).remaining_usd == 0


def test_the_row_that_is_locked_is_made(tmp_path: Path) -> None:
    money = Money(tmp_path, month="20")
    money.cap_of("job-1", "5")
    with money.studio.database.reading() as session:
        row = budgets.get(session, OWNER)
    assert row is not None
    assert (row.monthly_budget_usd, row.default_job_cap_usd) == (None, None)
