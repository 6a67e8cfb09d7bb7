"""Jobs that are in one state for longer than it should take: told to whoever runs the studio, never acted on.

What a job may take is decided by its limits and by how patient the studio is; training itself has no usual length.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.format import duration_text
from brightrun.plain_text import command

MAX_TIME_IN_STATUS = {
    JobStatus.QUEUED: timedelta(hours=1),
    JobStatus.PROVISIONING: timedelta(hours=1),
    JobStatus.PREPROCESSING: timedelta(hours=1),
    JobStatus.MODEL_LOADED: timedelta(hours=6),
    JobStatus.EVALUATING: timedelta(hours=6),
    JobStatus.UPLOADING: timedelta(hours=1),
}


@dataclass(frozen=True, slots=True)
class Overdue:
    """A job that should have left its state by now. `since` is aware, UTC."""

    job_id: str
    status: JobStatus
    since: datetime

    def __str__(self) -> str:
        longest = duration_text(MAX_TIME_IN_STATUS[self.status].total_seconds())
        return (
            f"Job {self.job_id} is {self.status.value} since {self.since:%d %B %H:%M} UTC, longer than {longest}. "
            f"See why: {command('brightrun job show', self.job_id)}"
        )


def overdue(session: Session, *, now: datetime, limit: int = 5, owner_id: str | None = None) -> list[Overdue]:
    """At most `limit` such jobs of each state, the longest there first; `owner_id`: only that owner's."""
    return [
        Overdue(job.id, status, job.status_changed_at)
        for status, longest in MAX_TIME_IN_STATUS.items()
        for job in jobs.in_status_since(session, status, before=now - longest, limit=limit, owner_id=owner_id)
    ]
