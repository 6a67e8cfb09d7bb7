"""A job that completed, with its files in the store: a bundle that verifies, a comparison, a report."""

from __future__ import annotations

import json
from datetime import timedelta

from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import Manifest, ManifestFile
from brightrun.contract.states import JobStatus
from brightrun.database import artifacts, metrics
from brightrun.database.metrics import MetricPoint
from brightrun.database.tables import ModelArtifact, TrainingJob
from brightrun.evaluation.comparison import Comparison
from brightrun.jobs.ingest import storage_key
from brightrun.jobs.studio import Studio
from tests.unit.retention_reports import with_retention
from tests.unit.run_reports import report
from tests.unit.web_studio import ME, START, a_job

INSTRUCTIONS = "You are a calm guide."


def a_finished_job(studio: Studio, *, words: str = "Elena", owner_id: str = ME, **changes: object) -> TrainingJob:
    """`words` stand wherever foreign text may: in prompts, answers, labels, and the job's name where it is given."""
    given = {"status": JobStatus.COMPLETED, "completed_at": START + timedelta(minutes=5), "started_at": START} | changes
    job = a_job(studio, owner_id=owner_id, **given)  # type: ignore[arg-type]
    comparison = with_retention(report(words=words, label=words or None, looped=True).comparison, words=words)
    files = bundle(job, comparison) | {
        "comparison.json": comparison.model_dump_json().encode(),
        "report.html": b"<html></html>",
        "events.jsonl": b"{}\n",
    }
    for name, content in files.items():
        keep(studio, job, name, content)
    return job


def bundle(job: TrainingJob, comparison: Comparison) -> dict[str, bytes]:
    """Just enough of an adapter's folder to be fetched and verified."""
    golden = [{"messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": "Where?"}]}]
    content = {
        "adapter_model.safetensors": b"weights",
        "golden_prompts.json": json.dumps(golden).encode(),
        "comparison.json": comparison.model_dump_json().encode(),
        "README.md": b"# Model card",
    }
    spec = JobSpec.model_validate(job.spec)
    manifest = Manifest(
        job_id=job.id,
        created_at=START,
        base_model=spec.model,
        dataset_name=spec.dataset.source_name,
        dataset_sha256=spec.dataset.source_sha256,
        split_sha256=spec.dataset.split_sha256,
        template_sha256="cd" * 32,
        recipe=spec.recipe,
        hyperparameters=spec.hyperparameters,
        fingerprint=spec.fingerprint(),
        packages={},
        adapter_check={},
        files=tuple(ManifestFile(name=name, bytes=len(data), sha256=digest(data)) for name, data in content.items()),
    )
    content["manifest.json"] = manifest.model_dump_json().encode()
    return {f"adapter/{name}": data for name, data in content.items()}


def digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def keep(studio: Studio, job: TrainingJob, name: str, content: bytes) -> None:
    """Store a file and its row."""
    key = storage_key(job.id, name)
    studio.storage.put(key, content)
    kind = "lora_adapter" if name.endswith("safetensors") else "bundle_file"
    row = ModelArtifact(
        job_id=job.id, owner_id=job.owner_id, attempt=1, artifact_type=kind, name=name, storage_path=key,
        file_size_bytes=len(content), sha256=digest(content), base_model=job.base_model, deployment_status="stored",
        created_at=START,
    )  # fmt: skip
    with studio.database.session() as session:
        artifacts.save(session, row)


def add_curve(studio: Studio, job: TrainingJob, steps: int, *, validation: bool = True) -> None:
    """A training curve, and a validation measurement before it and after it."""
    points = [
        MetricPoint(
            kind="train",
            step=step,
            loss=3 - step / 100,
            recorded_at=START,
            epoch=0.1,
            learning_rate=2e-4,
            grad_norm=0.5 + step % 3,
            tokens_per_second=900.0,
            memory_bytes=1 << 30,
        )
        for step in range(1, steps + 1)
    ]
    if validation:
        points += [
            MetricPoint(kind="validation", step=step, loss=3 - step / 200, recorded_at=START) for step in (0, steps)
        ]
    with studio.database.session() as session:
        metrics.record(session, job.id, attempt=1, points=points)
