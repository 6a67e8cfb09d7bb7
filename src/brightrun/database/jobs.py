"""Training jobs as rows: add once, find, list, and change only from a status that is expected."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from brightrun.contract.states import JobStatus
from brightrun.database.claims import (
    ClaimedJob,
    claim_due,
    claim_one,
    release_claim,
    renew_claim,
    save_claimed,
)
from brightrun.database.inserts import add_unless_there
from brightrun.database.job_list import count, list_page
from brightrun.database.tables import TrainingAttempt, TrainingJob

__all__ = [
    "ClaimedJob",
    "add",
    "change_if",
    "claim_due",
    "claim_one",
    "count",
    "count_by_status",
    "find_by_key",
    "get",
    "in_status_since",
    "list_live",
    "list_measured",
    "list_page",
    "newest_in_status",
    "release_claim",
    "renew_claim",
    "retried",
    "save_claimed",
    "schedule_check",
]


def add(session: Session, job: TrainingJob) -> tuple[TrainingJob, bool]:
    """Store a job; (the stored one, whether it is new).

    With an idempotency key that the owner used before, the job of then comes back and this one is not stored,
    also when both were asked for at the same moment. Comparing `idempotency_hash` is the caller's.
    """
    if job.idempotency_key is None:
        session.add(job)
        session.flush()
        return job, True
    new = add_unless_there(session, job, ("owner_id", "idempotency_key"))
    stored = find_by_key(session, owner_id=job.owner_id, key=job.idempotency_key)
    assert stored is not None
    return stored, new


def find_by_key(session: Session, *, owner_id: str, key: str) -> TrainingJob | None:
    query = select(TrainingJob).where(TrainingJob.owner_id == owner_id, TrainingJob.idempotency_key == key)
    return session.scalars(query).one_or_none()


def get(session: Session, job_id: str, *, owner_id: str | None = None, lock: bool = False) -> TrainingJob | None:
    """A job as it is now. `owner_id`: only that owner's. `lock`: nobody else changes it until the session ends."""
    query = select(TrainingJob).where(TrainingJob.id == job_id).execution_options(populate_existing=True)
    if owner_id is not None:
        query = query.where(TrainingJob.owner_id == owner_id)
    if lock:
        query = query.with_for_update(key_share=True)
    return session.scalars(query).one_or_none()


def list_measured(session: Session, *, owner_id: str, limit: int = 200) -> list[tuple[TrainingJob, TrainingAttempt]]:
    """An owner's completed jobs that had a plan and one attempt only, which was measured; the newest first."""
    done = (TrainingJob.owner_id == owner_id) & (TrainingJob.status == JobStatus.COMPLETED) & (TrainingJob.attempt == 1)
    query = select(TrainingJob, TrainingAttempt).join(TrainingAttempt, TrainingAttempt.job_id == TrainingJob.id)
    known = query.where(done, TrainingJob.plan.is_not(None), TrainingAttempt.actuals.is_not(None))
    newest = known.order_by(TrainingJob.created_at.desc(), TrainingJob.id.desc()).limit(limit)
    return [(job, attempt) for job, attempt in session.execute(newest)]


def list_live(session: Session, *, owner_id: str) -> list[TrainingJob]:
    """An owner's jobs that have not ended, oldest first."""
    live = [status for status in JobStatus if not status.is_terminal]
    query = select(TrainingJob).where(TrainingJob.owner_id == owner_id, TrainingJob.status.in_(live))
    # Sorted here: asked for an order, SQLite reads all of an owner's jobs by the index that has it.
    return sorted(session.scalars(query), key=lambda job: (job.created_at, job.id))


def count_by_status(session: Session, *, owner_id: str | None = None) -> dict[JobStatus, int]:
    """How many jobs are in each status; a status without jobs is absent."""
    query = select(TrainingJob.status, func.count()).group_by(TrainingJob.status)
    if owner_id is not None:
        query = query.where(TrainingJob.owner_id == owner_id)
    return {row[0]: row[1] for row in session.execute(query)}


def in_status_since(
    session: Session, status: JobStatus, *, before: datetime, limit: int = 100, owner_id: str | None = None
) -> list[TrainingJob]:
    """Jobs that came into the status before a moment, the longest there first."""
    query = select(TrainingJob).where(TrainingJob.status == status, TrainingJob.status_changed_at < before)
    if owner_id is not None:
        query = query.where(TrainingJob.owner_id == owner_id)
    return list(session.scalars(query.order_by(TrainingJob.status_changed_at).limit(limit)))


def newest_in_status(
    session: Session, status: JobStatus, *, owner_id: str, limit: int, since: datetime | None = None
) -> list[TrainingJob]:
    """An owner's jobs that came into the status last, since a moment if one is given."""
    query = select(TrainingJob).where(TrainingJob.status == status, TrainingJob.owner_id == owner_id)
    if since is not None:
        query = query.where(TrainingJob.status_changed_at >= since)
    return list(session.scalars(query.order_by(TrainingJob.status_changed_at.desc()).limit(limit)))


def retried(session: Session, job_ids: Collection[str], *, owner_id: str, since: datetime) -> set[str]:
    """Those of the owner's jobs that were tried again since a moment."""
    later = (TrainingJob.owner_id == owner_id) & (TrainingJob.created_at >= since)
    query = select(TrainingJob.retry_of).where(later, TrainingJob.retry_of.in_(list(job_ids)))
    return {job_id for job_id in session.scalars(query) if job_id is not None}


def change_if(session: Session, job_id: str, *, expected: Collection[JobStatus], **changes: Any) -> TrainingJob | None:
    """Change columns if the job's status is still one of `expected`; None, and nothing changed, if it is not."""
    statement = (
        update(TrainingJob)
        .where(TrainingJob.id == job_id, TrainingJob.status.in_(list(expected)))
        .values(**changes)
        .returning(TrainingJob)
    )
    options = {"synchronize_session": False, "populate_existing": True}
    return session.scalars(statement, execution_options=options).one_or_none()


def schedule_check(session: Session, job_id: str, *, at: datetime) -> None:
    """Have the reconciler look at a job at that moment, or before if it would anyway."""
    sooner = TrainingJob.next_check_at.is_(None) | (TrainingJob.next_check_at > at)
    session.execute(
        update(TrainingJob).where(TrainingJob.id == job_id, sooner).values(next_check_at=at),
        execution_options={"synchronize_session": "fetch"},
    )
