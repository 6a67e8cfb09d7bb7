"""Whose a thing is, checked in this one place: what belongs to someone else is not found."""

from __future__ import annotations

from sqlalchemy.orm import Session

from brightrun.database import files, jobs
from brightrun.database.tables import TrainingFile, TrainingJob
from brightrun.errors import NotFound


def owned(session: Session, owner_id: str, job_id: str, *, lock: bool = False) -> TrainingJob:
    """The owner's job.

    Raises:
        NotFound: there is none, or it is another owner's; nobody can tell which.
    """
    job = jobs.get(session, job_id, owner_id=owner_id, lock=lock)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def owned_file(session: Session, owner_id: str, file_id: str) -> TrainingFile:
    """The owner's dataset. Raises NotFound as `owned`."""
    file = files.get(session, file_id, owner_id=owner_id)
    if file is None:
        raise NotFound(f"There is no dataset {file_id}.")
    return file
