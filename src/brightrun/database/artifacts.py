"""A job's stored files as rows. Whether their bytes are what they should be is proven before, elsewhere."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from brightrun.database.inserts import add_or_replace
from brightrun.database.tables import ModelArtifact


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
