"""The one function that moves a job, and checks the move."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from brightrun.contract.event_data import StatusData
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import events, jobs
from brightrun.database.tables import TrainingJob
from brightrun.jobs.transitions import require_may_follow


def transition(
    session: Session,
    job: TrainingJob,
    then: JobStatus,
    *,
    now: datetime,
    message: str | None = None,
    reason: EndReason | None = None,
    hint: str | None = None,
    tell: bool = True,
) -> TrainingJob:
    """Bring a job into another state, with an event of the studio's own unless the worker told of it.

    The row is changed only if its status is still the one that was looked at. A job that ends is due for a look, since
    its machine may still have to end.

    Raises:
        IllegalTransition: the move is not allowed, or somebody else moved the job meanwhile.
    """
    require_may_follow(job.status, then)
    changes: dict[str, Any] = {"status": then, "status_changed_at": now, "reason": reason}
    if message is not None:
        changes["message"] = message
    changes["hint"] = hint
    if job.started_at is None and then is JobStatus.PROVISIONING:
        changes["started_at"] = now
    if then.is_terminal:
        changes |= {"completed_at": now, "next_check_at": now}
    moved = jobs.change_if(session, job.id, expected=[job.status], **changes)
    if moved is None:
        current = jobs.get(session, job.id)
        require_may_follow(then if current is None else current.status, then)
        return job
    if tell:
        events.append_own(
            session, job_id=job.id, data=StatusData(), status=then, happened_at=now, attempt=moved.attempt or None,
            message=message, reason=reason,
        )  # fmt: skip
    return moved
