"""What a job may cost and how long it may take, as its row says. Keeps nothing to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from brightrun.contract.states import EndReason
from brightrun.database.tables import TrainingAttempt, TrainingJob

EXPORT_REASONS = frozenset({EndReason.BUDGET_REACHED, EndReason.TIME_LIMIT})
"""Ends after which an adapter of the last checkpoint is downloaded without being asked for."""


def cap_of(job: TrainingJob) -> Decimal | None:
    """Dollars that all attempts together may cost; None: no cap."""
    if job.job_cap_usd is not None:
        return job.job_cap_usd
    return job.compute.max_cost_usd


def longest_of(job: TrainingJob) -> timedelta | None:
    """How long the job may take from its first machine on; None: as long as it takes."""
    hours = job.compute.max_duration_hours
    return None if hours is None else timedelta(hours=hours)


def may_have_adapter(attempt: TrainingAttempt) -> bool:
    """Whether there is a machine whose worker has spoken, so that an adapter may be had of it."""
    return attempt.ended_at is None and attempt.machine_id is not None and attempt.last_seen_at is not None


def running_since(leases: Sequence[TrainingAttempt]) -> datetime | None:
    """When the first machine was launched; waiting for one is no running."""
    return min((lease.launched_at for lease in leases if lease.launched_at is not None), default=None)
