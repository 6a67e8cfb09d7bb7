"""A job's stored files as rows. Whether their bytes are what they should be is proven before, elsewhere."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from brightrun.database.inserts import add_or_replace
from brightrun.database.pages import Page, newest_first
from brightrun.database.tables import ModelArtifact
from brightrun.errors import NotFound


def save(session: Session, artifact: ModelArtifact) -> ModelArtifact:
    """Store an artifact, or write over the job's artifact of that name (its id and creation time stay)."""
    add_or_replace(session, artifact, ("training_job_id", "name"), keep=("created_at", "deployment_status"))
    stored = by_name(session, artifact.job_id, artifact.name)
    assert stored is not None
    return stored


def get(session: Session, artifact_id: str, *, owner_id: str | None = None) -> ModelArtifact | None:
    query = select(ModelArtifact).where(ModelArtifact.id == artifact_id)
    if owner_id is not None:
        query = query.where(ModelArtifact.owner_id == owner_id)
    return session.scalars(query).one_or_none()


def by_name(session: Session, job_id: str, name: str) -> ModelArtifact | None:
    query = select(ModelArtifact).where(ModelArtifact.job_id == job_id, ModelArtifact.name == name)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def list_for_job(session: Session, job_id: str) -> list[ModelArtifact]:
    """A job's artifacts by name."""
    query = select(ModelArtifact).where(ModelArtifact.job_id == job_id)
    return list(session.scalars(query.order_by(ModelArtifact.name)))


def list_page(
    session: Session, *, owner_id: str, artifact_type: str | None = None, limit: int = 20, after: str | None = None
) -> Page[ModelArtifact]:
    """Newest first.

    Raises:
        NotFound: `after` is not in the list.
    """
    where = [ModelArtifact.owner_id == owner_id]
    if artifact_type is not None:
        where.append(ModelArtifact.artifact_type == artifact_type)
    return newest_first(session, ModelArtifact, *where, limit=limit, after=after)


def set_deployment_status(session: Session, artifact_id: str, *, owner_id: str, status: str) -> ModelArtifact:
    """stored, testing, production or archived.

    Raises:
        NotFound: the owner has no such artifact.
    """
    mine = (ModelArtifact.id == artifact_id) & (ModelArtifact.owner_id == owner_id)
    statement = update(ModelArtifact).where(mine).values(deployment_status=status).returning(ModelArtifact)
    options = {"synchronize_session": False, "populate_existing": True}
    saved = session.scalars(statement, execution_options=options).one_or_none()
    if saved is None:
        raise NotFound(f"There is no artifact {artifact_id}.")
    return saved
