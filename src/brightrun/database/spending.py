"""What machines have cost: lease time × the lease's own price, split over months."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from brightrun.database.tables import TrainingAttempt, TrainingJob

_HOUR = Decimal(3600)
_UNIT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Spending:
    """Dollars, and how many leases are not in them because their price is not known."""

    usd: Decimal
    unpriced_leases: int


def running_cost(attempt: TrainingAttempt, until: datetime) -> Decimal | None:
    """Dollars of a lease up to a moment: its time since the launch × the machine's own price.

    Nothing was launched: 0. The provider told no price: None, which is not 0.
    """
    if attempt.launched_at is None:
        return Decimal(0)
    if attempt.price_usd_per_hour is None:
        return None
    return (attempt.price_usd_per_hour * _seconds(attempt.launched_at, until) / _HOUR).quantize(_UNIT)


def cost_so_far(attempt: TrainingAttempt, now: datetime) -> Decimal | None:
    """Dollars of a lease, closed or open; None: its price is not known."""
    return running_cost(attempt, now) if attempt.ended_at is None else attempt.cost_usd


def spent_between(session: Session, owner_id: str, *, since: datetime, until: datetime, now: datetime) -> Spending:
    """What an owner's machines cost in [since, until), as far as it is over by `now`.

    A lease that reaches over an end is split by time.
    """
    leases = _leases(owner_id).where(TrainingAttempt.launched_at < until)
    still = TrainingAttempt.ended_at.is_(None) | (TrainingAttempt.ended_at > since)
    shares = [_share(lease, since, until, now) for lease in session.scalars(leases.where(still))]
    known = [share for share in shares if share is not None]
    return Spending(sum(known, Decimal(0)), len(shares) - len(known))


def costs_so_far(session: Session, job_ids: Collection[str], *, now: datetime) -> dict[str, Decimal | None]:
    """Dollars of each job over all its attempts; None where some attempt's price is not known, 0 before the first."""
    found: dict[str, Decimal | None] = {job_id: Decimal(0) for job_id in job_ids}
    query = select(TrainingAttempt).where(TrainingAttempt.job_id.in_(list(job_ids)))
    for attempt in session.scalars(query):
        cost, before = cost_so_far(attempt, now), found[attempt.job_id]
        found[attempt.job_id] = None if cost is None or before is None else before + cost
    return found


def open_leases(session: Session, owner_id: str) -> list[TrainingAttempt]:
    """An owner's leases whose machine was launched and is not known to be gone, by launch."""
    running = TrainingAttempt.launched_at.is_not(None) & TrainingAttempt.ended_at.is_(None)
    return list(session.scalars(_leases(owner_id).where(running).order_by(TrainingAttempt.launched_at)))


def _leases(owner_id: str) -> Select[TrainingAttempt]:
    jobs = select(TrainingJob.id).where(TrainingJob.owner_id == owner_id)
    return select(TrainingAttempt).where(TrainingAttempt.job_id.in_(jobs))


def _share(lease: TrainingAttempt, since: datetime, until: datetime, now: datetime) -> Decimal | None:
    """What a lease cost within a time; None where its price is not known."""
    cost = cost_so_far(lease, now)
    begun, ended = lease.launched_at, lease.ended_at or now
    if cost is None or begun is None:
        return cost
    inside = _seconds(max(begun, since), min(ended, until))
    whole = _seconds(begun, ended)
    return cost if inside == whole else (cost * inside / whole).quantize(_UNIT)


def _seconds(start: datetime, end: datetime) -> Decimal:
    return Decimal(str(max((end - start).total_seconds(), 0.0)))
