"""Claims on jobs: at most one reconciler acts on a job at a time. Kept in columns, so it holds on both databases."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from brightrun.database.tables import TrainingJob
from brightrun.errors import ClaimLost


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that is free until `expires_at`; `token` proves it."""

    job: TrainingJob
    token: str
    expires_at: datetime


def claim_due(session: Session, *, owner: str, now: datetime, lease: timedelta, limit: int) -> list[ClaimedJob]:
    """Take up to `limit` jobs whose `next_check_at` has come and that nobody holds, the longest waiting first.

    Terminal jobs are due too for as long as they have a `next_check_at`: their machine may still have to end.
    """
    due = (TrainingJob.next_check_at <= now) & _is_free(now)
    waiting = select(TrainingJob.id).where(due).order_by(TrainingJob.next_check_at, TrainingJob.id).limit(limit)
    ids = session.scalars(waiting.with_for_update(skip_locked=True, key_share=True)).all()
    return _take(session, TrainingJob.id.in_(ids) & due, owner, now, lease) if ids else []


def claim_one(session: Session, job_id: str, *, owner: str, now: datetime, lease: timedelta) -> ClaimedJob | None:
    """Take this job if nobody holds it, whenever its next look is."""
    taken = _take(session, (TrainingJob.id == job_id) & _is_free(now), owner, now, lease)
    return taken[0] if taken else None


def renew_claim(session: Session, job_id: str, token: str, *, now: datetime, lease: timedelta) -> datetime:
    """Hold on to a job; until when.

    Raises:
        ClaimLost: another reconciler has it, or nobody.
    """
    save_claimed(session, job_id, token, claim_expires_at=now + lease)
    return now + lease


def save_claimed(session: Session, job_id: str, token: str, **changes: Any) -> TrainingJob:
    """Change columns of a job that is free; the job as it is then.

    Raises:
        ClaimLost: another reconciler has it, or nobody; nothing was changed.
    """
    free = (TrainingJob.id == job_id) & (TrainingJob.claim_token == token)
    saved = _update(session, free, changes)
    if not saved:
        raise ClaimLost(
            f"The claim on job {job_id} was lost.", hint="Nothing needs to be done; whoever has it goes on."
        )
    return saved[0]


def release_claim(session: Session, job_id: str, token: str, *, next_check_at: datetime | None) -> TrainingJob:
    """Let a job go, to be looked at again at `next_check_at`; None: never, it is done with.

    Raises:
        ClaimLost: another reconciler has it, or nobody.
    """
    free = {"claim_owner": None, "claim_token": None, "claim_expires_at": None}
    return save_claimed(session, job_id, token, **free, next_check_at=next_check_at)


def free_claims(session: Session, *, owner: str) -> int:
    """Let go what a reconciler of that name held when it was killed, instead of waiting until its claims lapse."""
    free = {"claim_owner": None, "claim_token": None, "claim_expires_at": None}
    return len(_update(session, TrainingJob.claim_owner == owner, free))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return TrainingJob.claim_expires_at.is_(None) | (TrainingJob.claim_expires_at <= now)


def _take(
    session: Session, which: ColumnElement[bool], owner: str, now: datetime, lease: timedelta
) -> list[ClaimedJob]:
    token, expires_at = str(uuid.uuid4()), now + lease
    claim = {"claim_owner": owner, "claim_token": token, "claim_expires_at": expires_at}
    jobs = _update(session, which, claim)
    return [ClaimedJob(job=job, token=token, expires_at=expires_at) for job in jobs]


def _update(session: Session, which: ColumnElement[bool], changes: dict[str, Any]) -> list[TrainingJob]:
    statement = update(TrainingJob).where(which).values(**changes).returning(TrainingJob)
    options = {"synchronize_session": False, "populate_existing": True}
    return list(session.scalars(statement, execution_options=options))
