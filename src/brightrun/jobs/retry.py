"""A job that failed or was cancelled is tried again: a new job, which goes on from the old one's last checkpoint."""

from __future__ import annotations

import shutil
from typing import Any

from brightrun.contract.compute import ComputeRequest
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.states import JobStatus
from brightrun.database.tables import TrainingJob
from brightrun.errors import Conflict
from brightrun.jobs.make_run import MadeRun
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest, submit_job


def retry_job(
    studio: Studio,
    *,
    owner_id: str,
    job_id: str,
    hyperparameters: dict[str, Any] | None = None,
    compute: ComputeRequest | None = None,
    idempotency_key: str | None = None,
) -> TrainingJob:
    """Submit the job again, with some settings changed if asked for; of `compute` only what is set in it is changed.

    Where nothing that decides the adapter changed, the new job begins at the old one's newest checkpoint; the worker
    checks by the run's fingerprint that it is its own. With a key that was used before it is the job of then.

    Raises:
        NotFound: the owner has no such job.
        Conflict: the job has not ended, or completed.
        IdempotencyConflict: the key was used with another body.
    """
    with studio.database.reading() as session:
        old = owned(session, owner_id, job_id)
    if old.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
        raise Conflict(
            f"A job that is {old.status.value} cannot be retried.", hint="Only what ended unfinished can be."
        )
    changed = {} if compute is None else compute.model_dump(exclude_unset=True)
    request = JobRequest(
        training_file_id=old.training_file_id,
        validation_file_id=old.validation_file_id,
        base_model=old.base_model,
        recipe=old.recipe,
        hyperparameters={**_own_settings(old), **(hyperparameters or {})},
        compute=ComputeRequest.model_validate(dict(old.compute) | changed),
        name=old.name,
    )
    return submit_job(
        studio, request, owner_id=owner_id, idempotency_key=idempotency_key, retry_of=old.id,
        prepare=lambda made: _take_over_work(studio, old, made),
    )  # fmt: skip


def _own_settings(job: TrainingJob) -> dict[str, Any]:
    """The old job's settings, all of them: a recipe may have changed since."""
    return dict(job.hyperparameters)


def _take_over_work(studio: Studio, old: TrainingJob, made: MadeRun) -> None:
    before = studio.run_folder(old.id).work
    if JobSpec.model_validate(old.spec).fingerprint() == made.spec.fingerprint() and before.is_dir():
        shutil.copytree(before, made.folder.work, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
