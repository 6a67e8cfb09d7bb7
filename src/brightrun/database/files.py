"""Datasets as rows: add, find, list, delete. What the bytes say and where they lie is known elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from brightrun.database.pages import Page, newest_first
from brightrun.database.tables import TrainingFile, TrainingJob
from brightrun.errors import DatasetInUse, NotFound


def add(session: Session, file: TrainingFile) -> TrainingFile:
    session.add(file)
    session.flush()
    return file


def get(session: Session, file_id: str, *, owner_id: str | None = None) -> TrainingFile | None:
    """A file that was not deleted; with `owner_id` only that owner's."""
    query = select(TrainingFile).where(TrainingFile.id == file_id, TrainingFile.deleted_at.is_(None))
    if owner_id is not None:
        query = query.where(TrainingFile.owner_id == owner_id)
    return session.scalars(query).one_or_none()


def get_for_use(session: Session, file_id: str, *, owner_id: str) -> TrainingFile | None:
    """A file that a job is about to be made of: it cannot be deleted until this transaction ends."""
    query = select(TrainingFile).where(
        TrainingFile.id == file_id, TrainingFile.owner_id == owner_id, TrainingFile.deleted_at.is_(None)
    )
    return session.scalars(query.with_for_update(read=True).execution_options(populate_existing=True)).one_or_none()


def list_same(session: Session, *, owner_id: str, sha256: str) -> list[TrainingFile]:
    """The owner's files of these very bytes, newest first: one for each way of reading them."""
    query = select(TrainingFile).where(
        TrainingFile.owner_id == owner_id, TrainingFile.sha256 == sha256, TrainingFile.deleted_at.is_(None)
    )
    return list(session.scalars(query.order_by(TrainingFile.created_at.desc(), TrainingFile.id.desc())))


def known_hashes(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the hashes of which any owner has a file."""
    query = select(TrainingFile.sha256).where(TrainingFile.sha256.in_(hashes), TrainingFile.deleted_at.is_(None))
    return set(session.scalars(query.distinct()))


def list_page(session: Session, *, owner_id: str, limit: int = 20, after: str | None = None) -> Page[TrainingFile]:
    """Newest first.

    Raises:
        NotFound: `after` is not in the list.
    """
    mine = (TrainingFile.owner_id == owner_id, TrainingFile.deleted_at.is_(None))
    return newest_first(session, TrainingFile, *mine, limit=limit, after=after)


def count_jobs(session: Session, file_id: str) -> int:
    """How many jobs were made of the file, whatever became of them; those too that it validates."""
    query = select(func.count()).select_from(TrainingJob).where(_uses(file_id))
    return session.scalar(query) or 0


def list_jobs(session: Session, file_id: str, *, limit: int = 20) -> Page[TrainingJob]:
    """The jobs that were made of the file, newest first; those too that it validates."""
    return newest_first(session, TrainingJob, _uses(file_id), limit=limit, after=None)


def _uses(file_id: str) -> ColumnElement[bool]:
    return (TrainingJob.training_file_id == file_id) | (TrainingJob.validation_file_id == file_id)


def delete(session: Session, file_id: str, *, owner_id: str, now: datetime) -> TrainingFile:
    """Mark a file as deleted; its bytes may then be removed from storage.

    Raises:
        NotFound: the owner has no such file.
        DatasetInUse: a job was made of it.
    """
    query = select(TrainingFile).where(
        TrainingFile.id == file_id, TrainingFile.owner_id == owner_id, TrainingFile.deleted_at.is_(None)
    )
    file = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if file is None:
        raise NotFound(f"There is no dataset {file_id}.")
    if jobs := count_jobs(session, file_id):
        raise DatasetInUse(f"{file.file_name} cannot be deleted: {jobs} job(s) were made of it.")
    file.deleted_at = now
    session.flush()
    return file


def names(session: Session, file_ids: Collection[str]) -> dict[str, str]:
    """What files are called, by their ids; deleted ones too."""
    query = select(TrainingFile.id, TrainingFile.file_name).where(TrainingFile.id.in_(list(file_ids)))
    return {row[0]: row[1] for row in session.execute(query)}
