"""An owner's month in money: spent, reserved for jobs, left, and when the budget would be crossed. Stops nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from brightrun.database import budgets, jobs, spending
from brightrun.database.tables import Budget
from brightrun.jobs.studio import Studio


@dataclass(frozen=True, slots=True)
class MonthBudget:
    """Money of one calendar month in UTC. What is not known is None, never 0.

    Attributes:
        month: YYYY-MM.
        monthly_budget_usd: What the owner wants to spend at most; None: no limit.
        is_default: The budget is the studio's setting, not the owner's own.
        default_job_cap_usd: Cap of jobs that name none.
        spent_usd: Closed and running leases, their time within the month × their price.
        unpriced_leases: Leases of the month that are not in `spent_usd`: no price is known for them.
        reserved_usd: What live jobs may still cost: their cap, else their estimate, less what they have cost.
        unestimated_jobs: Live jobs that have neither, so that nobody knows what they will cost.
        usd_per_hour: Of the machines that run now.
        forecast_usd: The month's spending if running jobs cost what was estimated.
        crosses_at: When the budget is crossed if running jobs go on to their cap or estimate; None: not by them.
    """

    month: str
    starts_at: datetime
    ends_at: datetime
    monthly_budget_usd: Decimal | None
    is_default: bool
    default_job_cap_usd: Decimal | None
    spent_usd: Decimal
    unpriced_leases: int
    reserved_usd: Decimal
    unestimated_jobs: int
    usd_per_hour: Decimal
    forecast_usd: Decimal
    crosses_at: datetime | None

    @property
    def remaining_usd(self) -> Decimal | None:
        """What a new job may cost; below 0 where too much is spent or promised. None: no limit."""
        return None if self.monthly_budget_usd is None else self.monthly_budget_usd - self.spent_usd - self.reserved_usd

    @property
    def spent_percent(self) -> float | None:
        """Share of the budget that is spent; None without a budget."""
        if self.monthly_budget_usd is None:
            return None
        return 100.0 if self.monthly_budget_usd == 0 else float(100 * self.spent_usd / self.monthly_budget_usd)


def month_budget(studio: Studio, *, owner_id: str) -> MonthBudget:
    """The owner's budget of the month that is now."""
    with studio.database.reading() as session:
        return read_month(session, studio, owner_id, own=budgets.get(session, owner_id))


def read_month(session: Session, studio: Studio, owner_id: str, *, own: Budget | None) -> MonthBudget:
    """As `month_budget`, inside the caller's transaction."""
    now = studio.clock()
    starts_at, ends_at = month_of(now)
    spent = spending.spent_between(session, owner_id, since=starts_at, until=ends_at, now=now)
    live = jobs.list_live(session, owner_id=owner_id)
    costs = spending.costs_so_far(session, [job.id for job in live], now=now)
    rests = {job.id: _rest(_first(job.job_cap_usd, job.estimated_cost_usd), costs[job.id]) for job in live}
    expected = [_rest(_first(job.estimated_cost_usd, job.job_cap_usd), costs[job.id]) for job in live]
    leases = spending.open_leases(session, owner_id)
    budget = budget_of(studio, own)
    flows = [Flow(lease.price_usd_per_hour or Decimal(0), rests.get(lease.job_id, Decimal(0))) for lease in leases]
    left = None if budget is None else budget - spent.usd
    return MonthBudget(
        month=f"{starts_at:%Y-%m}",
        starts_at=starts_at,
        ends_at=ends_at,
        monthly_budget_usd=budget,
        is_default=own is None or own.monthly_budget_usd is None,
        default_job_cap_usd=None if own is None else own.default_job_cap_usd,
        spent_usd=spent.usd,
        unpriced_leases=spent.unpriced_leases,
        reserved_usd=sum((rest for rest in rests.values() if rest is not None), Decimal(0)),
        unestimated_jobs=sum(rest is None for rest in rests.values()),
        usd_per_hour=sum((flow.usd_per_hour for flow in flows), Decimal(0)),
        forecast_usd=spent.usd + sum((rest for rest in expected if rest is not None), Decimal(0)),
        crosses_at=None if left is None else _within(crossing(left, flows), now, ends_at),
    )


def month_left_usd(session: Session, studio: Studio, owner_id: str) -> Decimal | None:
    """What is not spent yet of this month's budget, whatever is reserved; None: there is no budget."""
    budget = budget_of(studio, budgets.get(session, owner_id))
    if budget is None:
        return None
    now = studio.clock()
    starts_at, ends_at = month_of(now)
    return budget - spending.spent_between(session, owner_id, since=starts_at, until=ends_at, now=now).usd


def budget_of(studio: Studio, own: Budget | None) -> Decimal | None:
    """The owner's budget per month, else the studio's setting; None: no limit."""
    return studio.monthly_budget_usd if own is None or own.monthly_budget_usd is None else own.monthly_budget_usd


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The first instants of the calendar month in UTC, and of the next one."""
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Flow:
    """A machine's price, and what its job may still cost; None: nobody knows."""

    usd_per_hour: Decimal
    rest_usd: Decimal | None


def crossing(left_usd: Decimal, flows: Sequence[Flow]) -> timedelta | None:
    """After which time machines that run side by side have cost `left_usd`; None: they stop before."""
    if left_usd <= 0:
        return timedelta(0)
    running = [flow for flow in flows if flow.usd_per_hour > 0]
    rate, hours = sum((flow.usd_per_hour for flow in running), Decimal(0)), Decimal(0)
    by_end = sorted((f.rest_usd / f.usd_per_hour, f.usd_per_hour) for f in running if f.rest_usd is not None)
    for end, stopping in by_end:
        if left_usd <= rate * (end - hours):
            break
        left_usd -= rate * (end - hours)
        hours, rate = end, rate - stopping
    return timedelta(hours=float(hours + left_usd / rate)) if rate > 0 else None


def _within(after: timedelta | None, now: datetime, end: datetime) -> datetime | None:
    return None if after is None or now + after >= end else now + after


def _rest(amount: Decimal | None, cost: Decimal | None) -> Decimal | None:
    """What is still to come of an amount; None where it or what has been paid is not known."""
    return None if amount is None or cost is None else max(amount - cost, Decimal(0))


def _first(*amounts: Decimal | None) -> Decimal | None:
    return next((amount for amount in amounts if amount is not None), None)
