"""Brings a finished job's files home: fetched, compared with the manifest, stored, read again, then recorded."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from brightrun.contract.job_metrics import JobMetrics
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import Manifest, verify_bundle
from brightrun.contract.messages import ArtifactFile
from brightrun.contract.states import JobStatus
from brightrun.database import artifacts, attempts, jobs
from brightrun.database.tables import ModelArtifact, TrainingAttempt, TrainingJob
from brightrun.errors import AdapterCheckFailed
from brightrun.evaluation.comparison import Comparison
from brightrun.jobs.record_event import worker_end
from brightrun.jobs.results import COMPARISONS
from brightrun.jobs.studio import Studio
from brightrun.jobs.transition import transition
from brightrun.jobs.worker_client import WorkerClient

_KINDS = {"adapter_model.safetensors": "lora_adapter", "report.html": "report", "events.jsonl": "training_log"}
BUNDLE = "adapter/"
PARTIAL = "partial_adapter"


def ingest(
    studio: Studio,
    client: WorkerClient,
    job: TrainingJob,
    attempt: TrainingAttempt,
    *,
    heartbeat: Callable[[], None] = lambda: None,
) -> bool:
    """Fetch, verify, store and record every artifact, then complete the job. Safe to repeat.

    False: the worker lists nothing yet, since its process tidies up after its last line; ask again in a moment.

    Args:
        keep: Called again and again on the way, since a large adapter takes longer than a claim holds.

    Raises:
        AdapterCheckFailed: the bundle is not this job's, or its proof does not hold.
        BrightRunError: worker or storage failed; trying again may help.
    """
    with tempfile.TemporaryDirectory(dir=studio.home, prefix=".collecting-") as scratch:
        fetched = _fetch(client, job.id, Path(scratch), heartbeat)
        if not fetched and studio.clock() - job.status_changed_at < studio.limits.silence:
            return False
        manifest = _verified(Path(scratch), job)
        judged = _judged([place for file, place in fetched if file.name in COMPARISONS])
        rows = []
        for file, place in fetched:
            heartbeat()
            rows.append(_store(studio, job, attempt, file, place, manifest))
    heartbeat()
    now = studio.clock()
    loss = _validation_loss(job)
    with studio.database.session() as session:
        for row in rows:
            row.validation_loss = loss if row.artifact_type == "lora_adapter" else None
            row.validation_perplexity = math.exp(loss) if row.validation_loss is not None and loss is not None else None
            artifacts.save(session, row)
        current = jobs.get(session, job.id, lock=True)
        if current is None or current.status.is_terminal:
            return True
        if current.status is not JobStatus.UPLOADING:
            current = transition(session, current, JobStatus.UPLOADING, now=now, tell=False)
        path = f"lora_adapters/{job.id}/"
        jobs.change_if(session, job.id, expected=[JobStatus.UPLOADING], lora_artifact_path=path)
        attempts.save(session, attempt.id, last_seen_at=now)
        end = worker_end(session, job.id, attempt.number)
        said = current.message if end is None else end.message or current.message
        done = transition(session, current, JobStatus.COMPLETED, now=now, message=said)
        figures = (done.metrics or JobMetrics()).model_copy(update=judged)
        jobs.change_if(session, done.id, expected=[JobStatus.COMPLETED], current_step=done.total_steps, metrics=figures)
    return True


def _judged(comparisons: Sequence[Path]) -> dict[str, str]:
    """The verdict of the job's comparison, as its figures keep it; nothing where none can be read."""
    for place in comparisons:
        try:
            comparison = Comparison.model_validate_json(place.read_bytes())
        except (OSError, ValueError):
            continue
        return {"verdict": comparison.verdict, "verdict_reason": comparison.reason}
    return {}


def fetch_partial(
    studio: Studio, client: WorkerClient, job: TrainingJob, attempt: TrainingAttempt, *, heartbeat: Callable[[], None]
) -> list[ModelArtifact] | None:
    """Fetch, verify and store the adapter of a run that did not end; its rows are the caller's to save. Safe to repeat.

    None: the worker has no adapter. Its bytes are what its manifest says and of this job; nothing is proven of it.

    Raises:
        BundleDamaged, AdapterCheckFailed: it is not this job's, or not whole.
        BrightRunError: worker or storage failed; trying again may help.
    """
    with tempfile.TemporaryDirectory(dir=studio.home, prefix=".collecting-") as scratch:
        fetched = _fetch(client, job.id, Path(scratch), heartbeat)
        if not any(file.name == f"{BUNDLE}manifest.json" for file, _ in fetched):
            return None
        manifest = _of_this_job(Path(scratch), job)
        rows = []
        for file, place in fetched:
            heartbeat()
            rows.append(_store(studio, job, attempt, file, place, manifest))
    for row in rows:
        if row.artifact_type == "lora_adapter":
            row.artifact_type = PARTIAL
    return rows


def storage_key(job_id: str, name: str) -> str:
    """`lora_adapters/{job}/…` for the bundle, `training_logs/{job}/…` for everything else."""
    if name.startswith(BUNDLE):
        return f"lora_adapters/{job_id}/{name.removeprefix(BUNDLE)}"
    return f"training_logs/{job_id}/{name}"


def _fetch(
    client: WorkerClient, job_id: str, folder: Path, heartbeat: Callable[[], None]
) -> list[tuple[ArtifactFile, Path]]:
    fetched = []
    for artifact in client.artifacts(job_id).artifacts:
        target = folder / artifact.name
        target.parent.mkdir(parents=True, exist_ok=True)
        client.fetch(job_id, artifact, target, heartbeat=heartbeat)
        fetched.append((artifact, target))
    return fetched


def _of_this_job(folder: Path, job: TrainingJob) -> Manifest:
    manifest = verify_bundle(folder / BUNDLE)
    wanted = JobSpec.model_validate(job.spec).fingerprint()
    if manifest.fingerprint != wanted:
        raise AdapterCheckFailed("The bundle is of another run than this job's.")
    return manifest


def _verified(folder: Path, job: TrainingJob) -> Manifest:
    manifest = _of_this_job(folder, job)
    adapter_check = manifest.adapter_check
    if adapter_check.get("adapter_off_equals_base") is not True or adapter_check.get("adapter_on_differs") is not True:
        raise AdapterCheckFailed("The bundle's own proof does not hold.")
    return manifest


def _store(
    studio: Studio, job: TrainingJob, attempt: TrainingAttempt, file: ArtifactFile, path: Path, manifest: Manifest
) -> ModelArtifact:
    key = storage_key(job.id, file.name)
    studio.storage.put(key, path, sha256=file.sha256)
    stored = studio.storage.stat(key)
    if stored is None or stored.bytes != file.bytes:
        raise AdapterCheckFailed(f"{file.name} is not in the store as it was put there.")
    return ModelArtifact(
        job_id=job.id,
        owner_id=job.owner_id,
        attempt=attempt.number,
        artifact_type=_KINDS.get(path.name, "bundle_file" if file.name.startswith(BUNDLE) else "log"),
        name=file.name,
        storage_path=key,
        file_size_bytes=file.bytes,
        sha256=file.sha256,
        base_model=manifest.base_model.name,
        deployment_status="stored",
        created_at=studio.clock(),
    )


def _validation_loss(job: TrainingJob) -> float | None:
    """As the worker measured it on the delivered adapter; absent where it did not say."""
    return None if job.metrics is None else job.metrics.validation_loss
