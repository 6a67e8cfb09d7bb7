"""What a new job may cost, settled when it is submitted: its own cap, the owner's default, and what the month leaves.

A job that is costed gets a promise out of the month's budget. The promises and what was spent never exceed the budget
together, so that it holds even while no studio is alive to add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.orm import Session

from brightrun.catalogue.dollars import usd
from brightrun.database import budgets
from brightrun.database.tables import TrainingJob
from brightrun.errors import OverBudget, PriceUnknown
from brightrun.jobs.month_budget import MonthBudget, read_month
from brightrun.jobs.studio import Studio

BEYOND_ESTIMATE = 2
"""A job without a cap is promised so many times the upper end of its estimate, where the month has a budget."""

_FIELD = "compute.max_cost_usd"


def resolve_cap(session: Session, studio: Studio, job: TrainingJob) -> None:
    """Set the job's `job_cap_usd` inside the transaction that stores it; absent where no budget or cap asks for one.

    Raises:
        PriceUnknown: a cap is asked for, and nobody knows what the machine costs.
        OverBudget: the cap, or what the month leaves, is less than the job is expected to cost.
    """
    expected = job.estimated_cost_usd
    request = CapRequest(
        provider=job.compute.provider, asked=job.compute.max_cost_usd, expected=expected, high=_upper_end(job, expected)
    )
    if expected is None:
        require_price(request)
        return
    own = budgets.lock(session, job.owner_id, now=studio.clock())
    job.job_cap_usd = cap_for(request, read_month(session, studio, job.owner_id, own=own))


@dataclass(frozen=True, slots=True)
class CapRequest:
    """The cap a job asks for (None: it names none) and what it is expected to cost; None: nobody knows."""

    provider: str
    asked: Decimal | None
    expected: Decimal | None
    high: Decimal | None


def require_price(request: CapRequest) -> None:
    """Raises PriceUnknown where a cap is asked for and nobody knows what the machine costs."""
    if request.expected is None and request.asked is not None:
        raise PriceUnknown(
            f"What {request.provider} costs is not known, so no cap can be kept.", details={"param": _FIELD}
        )


def cap_for(request: CapRequest, month: MonthBudget) -> Decimal | None:
    """What a job would be allowed to cost if it were submitted now; None: nothing asks for a cap.

    Raises:
        PriceUnknown, OverBudget: it would be refused.
    """
    require_price(request)
    expected = request.expected
    if expected is None:
        return None
    cap = month.default_job_cap_usd if request.asked is None else request.asked
    if cap is not None and cap < expected:
        whose = "Your default cap" if request.asked is None else "The cap"
        raise OverBudget(
            f"{whose} of {usd(cap)} is less than the {usd(expected)} that the job is expected to cost.",
            hint="Raise max_cost_usd, or make the job smaller: fewer epochs, a smaller model.",
            details={"expected_usd": float(expected), "job_cap_usd": float(cap), "param": _FIELD},
        )
    left = month.remaining_usd
    if left is not None:
        _require_left(left, expected, month)
        ceiling = BEYOND_ESTIMATE * (request.high or expected) if cap is None else cap
        cap = min(ceiling, left)
    return cap


def _require_left(left: Decimal, expected: Decimal, month: MonthBudget) -> None:
    if left >= expected:
        return
    assert month.monthly_budget_usd is not None
    raise OverBudget(
        f"The job is expected to cost {usd(expected)}, and {usd(max(left, Decimal(0)))} of the "
        f"{usd(month.monthly_budget_usd)} for {month.month} are left: {usd(month.spent_usd)} are spent, "
        f"{usd(month.reserved_usd)} reserved for jobs.",
        hint="Raise the month's budget (brightrun budget set), give running jobs smaller caps, or wait for them.",
        details={
            "expected_usd": float(expected), "remaining_usd": float(left),
            "monthly_budget_usd": float(month.monthly_budget_usd),
            "spent_usd": float(month.spent_usd), "reserved_usd": float(month.reserved_usd),
        },
    )  # fmt: skip


def _upper_end(job: TrainingJob, expected: Decimal | None) -> Decimal | None:
    """Of the plan's estimate; where the plan has no band, the estimate."""
    return expected if job.plan is None or job.plan.cost is None else job.plan.cost.high_usd
