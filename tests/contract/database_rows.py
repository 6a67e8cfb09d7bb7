"""Rows to begin a database test with, whole but for what the test says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from brightrun.contract.compute import JobCompute
from brightrun.contract.event_data import read_data
from brightrun.contract.events import Event, event_of
from brightrun.contract.states import JobStatus
from brightrun.database import files, jobs
from brightrun.database.tables import TrainingAttempt, TrainingFile, TrainingJob

NOW = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)
OWNER = "local"


def add_file(session: Session, **changes: Any) -> TrainingFile:
    values: dict[str, Any] = {
        "owner_id": OWNER,
        "file_name": "conversations.json",
        "sha256": "a" * 64,
        "bytes": 1234,
        "format": "brightrun-lora-v4",
        "storage_path": "datasets/a.json",
        "audit": {"findings": []},
        "created_at": NOW,
    }
    return files.add(session, TrainingFile(**values | changes))


def job_of(file: TrainingFile, **changes: Any) -> TrainingJob:
    values: dict[str, Any] = {
        "owner_id": file.owner_id,
        "training_file_id": file.id,
        "name": "A job",
        "status": JobStatus.QUEUED,
        "spec": {"format": "brightrun-job-1"},
        "base_model": "SmolLM2-135M-Instruct",
        "recipe": "quickstart",
        "hyperparameters": {"r": 16, "learning_rate": 2e-4},
        "compute": JobCompute(provider="local_process"),
        "created_at": NOW,
        "status_changed_at": NOW,
        "next_check_at": NOW,
    }
    return TrainingJob(**values | changes)


def add_job(session: Session, file: TrainingFile | None = None, **changes: Any) -> TrainingJob:
    return jobs.add(session, job_of(file or add_file(session), **changes))[0]


def lease_of(job: TrainingJob, number: int = 1, **changes: Any) -> TrainingAttempt:
    values: dict[str, Any] = {
        "job_id": job.id,
        "number": number,
        "provider": "simulated",
        "machine_name": f"train-{job.id}-{number}",
        "launch_intended_at": NOW,
        "price_usd_per_hour": Decimal("2.39"),
    }
    return TrainingAttempt(**values | changes)


def line(sequence: int, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "sequence": sequence,
        "attempt": 1,
        "timestamp": NOW + timedelta(seconds=sequence),
        "kind": "step",
        "status": JobStatus.TRAINING,
        "step": sequence,
        "total_steps": 1000,
        "data": {"loss": 1 / sequence, "learning_rate": 1e-7},
    }
    values |= changes
    return event_of(read_data(values["kind"], values.pop("data")), **values)
