"""What a job's before and after showed, read from its stored files."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy.orm import Session

from brightrun.database import artifacts
from brightrun.database.tables import ModelArtifact
from brightrun.errors import BundleDamaged
from brightrun.evaluation.comparison import Comparison
from brightrun.jobs.studio import Studio

COMPARISONS = ("comparison.json", "adapter/comparison.json")
_MAX_BYTES = 64 << 20


def comparison_file(session: Session, job_id: str) -> ModelArtifact | None:
    """Where a job's comparison is stored; None where it delivered none."""
    found = (artifacts.by_name(session, job_id, name) for name in COMPARISONS)
    return next((row for row in found if row is not None), None)


def read_comparison(studio: Studio, job_id: str) -> Comparison | None:
    """The job's comparison; None where it delivered none.

    Raises:
        BundleDamaged: the stored file is not one.
        StorageError
    """
    with studio.database.reading() as session:
        row = comparison_file(session, job_id)
    if row is None:
        return None
    if row.file_size_bytes > _MAX_BYTES:
        raise BundleDamaged(f"{row.name} of job {job_id} is too large to be a comparison.")
    with studio.storage.open(row.storage_path) as stream:
        content = stream.read(_MAX_BYTES + 1)
    try:
        return Comparison.model_validate_json(content)
    except ValidationError as error:
        raise BundleDamaged(f"{row.name} of job {job_id} cannot be read.") from error
