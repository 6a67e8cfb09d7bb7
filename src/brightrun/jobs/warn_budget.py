"""Warnings that money runs out, as events of the job: at 50, 80 and 100 % of its cap and of the owner's month."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from sqlalchemy.orm import Session

from brightrun.catalogue.dollars import usd
from brightrun.contract.event_data import MessageData
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import budgets, events, jobs
from brightrun.database.tables import TrainingJob
from brightrun.jobs.decide import Situation
from brightrun.jobs.month_budget import budget_of, month_of
from brightrun.jobs.studio import Studio

LEVELS = (50, 80, 100)
WARNING = "budget_warning"
"""The `code` in a warning's data; `of` there is job or month."""


def warn_budget(studio: Studio, job: TrainingJob, known: Situation) -> None:
    """Write the warnings that are due and were not given yet; each is given once for a job, and once in a month.

    Spending that passes several levels between two looks is told of each.

    A worker that ended because of its cap did so just before it was crossed: that is told as 100 %.
    """
    lease = known.lease
    spent = None if lease is None else lease.spent_usd
    at_cap = lease is not None and lease.worker_reason is EndReason.BUDGET_REACHED
    of_job = 100 if at_cap else _level(spent, known.max_cost_usd)
    if of_job > (job.budget_warned_percent or 0) and spent is not None and known.max_cost_usd is not None:
        _warn_job(studio, job.id, of_job, spent, known.max_cost_usd)
    if known.month_left_usd is not None:
        _warn_month(studio, job.id, job.owner_id, known.month_left_usd)


def over_limit_text(known: Situation) -> tuple[str, str] | None:
    """What ended a job for want of money and the fix; None: the worker said it, or it was something else."""
    spent = None if known.lease is None else known.lease.spent_usd
    if known.max_cost_usd is not None and spent is not None and spent >= known.max_cost_usd:
        words = f"The job reached its cap of {usd(known.max_cost_usd)}: it has cost {usd(spent)}."
        return words, EndReason.BUDGET_REACHED.text.hint
    if known.month_left_usd is not None and known.month_left_usd <= 0:
        return (
            "The budget of this month is used up.",
            "Raise the month's budget or wait for the next month, then retry.",
        )
    return None


def _warn_job(studio: Studio, job_id: str, percent: int, spent: Decimal, cap: Decimal) -> None:
    with studio.database.session() as session:
        job = jobs.get(session, job_id, lock=True)
        if job is None or job.status.is_terminal:
            return
        told = job.budget_warned_percent or 0
        jobs.change_if(session, job_id, expected=[job.status], budget_warned_percent=max(told, percent))
        for level in _levels(told, percent):
            words = f"{level} % of the job's cap is used" if level < 100 else "The job's cap is reached"
            words += f": {usd(spent)} of {usd(cap)}."
            _event(session, studio, job, words, _facts("job", level, spent, cap))


def _warn_month(studio: Studio, job_id: str, owner_id: str, left: Decimal) -> None:
    """Read without a lock first: most looks tell nothing."""
    month = f"{month_of(studio.clock())[0]:%Y-%m}"
    with studio.database.reading() as session:
        own = budgets.get(session, owner_id)
    budget = budget_of(studio, own)
    if budget is None:
        return
    percent = _level(budget - left, budget)
    told = (own.warned_percent or 0) if own is not None and own.warned_month == month else 0
    if percent <= told:
        return
    with studio.database.session() as session:
        own = budgets.lock(session, owner_id, now=studio.clock())
        job = jobs.get(session, job_id)
        told = (own.warned_percent or 0) if own.warned_month == month else 0
        if job is None or percent <= told:
            return
        budgets.note_warning(session, owner_id, month=month, percent=percent)
        for level in _levels(told, percent):
            words = f"{level} % of the budget of {month} is used: {usd(budget - left)} of {usd(budget)}."
            facts = _facts("month", level, budget - left, budget, month=month)
            _event(session, studio, job, words, facts)


def _event(session: Session, studio: Studio, job: TrainingJob, words: str, facts: MessageData) -> None:
    events.append_own(
        session,
        job_id=job.id,
        status=JobStatus(job.status),
        happened_at=studio.clock(),
        attempt=job.attempt or None,
        message=words,
        data=facts,
    )


def _facts(
    of: Literal["job", "month"], percent: int, spent: Decimal, limit: Decimal, *, month: str | None = None
) -> MessageData:
    return MessageData(
        code=WARNING, of=of, month=month, percent=percent, spent_usd=float(spent), limit_usd=float(limit)
    )


def _levels(told: int, reached: int) -> list[int]:
    """Those above what was told, up to what is reached."""
    return [level for level in LEVELS if told < level <= reached]


def _level(spent: Decimal | None, limit: Decimal | None) -> int:
    """The highest level that is reached; 0: none."""
    if spent is None or limit is None:
        return 0
    return max((level for level in LEVELS if 100 * spent >= level * limit), default=0)
