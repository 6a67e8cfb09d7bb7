"""What became of a job of a RealStudio, as the store and the tables tell it."""

from __future__ import annotations

import hashlib

from brightrun.contract.states import JobStatus
from brightrun.database import artifacts, events, metrics
from tests.real_studio import RealStudio


def completed_adapter(studio: RealStudio, job_id: str, *, machines: int, failures_told: int = 0) -> str:
    """sha256 of the stored adapter of a job that completed and of which nothing is left running."""
    job = studio.job(job_id)
    assert (job.status, job.reason) == (JobStatus.COMPLETED, None), job.message
    leases = studio.leases(job_id)
    assert [lease.ended_at is not None for lease in leases] == [True] * machines
    assert studio.processes("brightrun.worker") == []
    assert failures(studio, job_id) == failures_told
    assert steps_told(studio, job_id) == list(range(1, (job.total_steps or 0) + 1))
    return stored_adapter(studio, job_id)


def steps_told(studio: RealStudio, job_id: str) -> list[int]:
    with studio.studio.database.reading() as session:
        return [point.step for point in metrics.series(session, job_id, "train")]


def stored_adapter(studio: RealStudio, job_id: str) -> str:
    """sha256 of the bytes that the store gives back, which is the one that was recorded."""
    with studio.studio.database.reading() as session:
        (row,) = (row for row in artifacts.list_for_job(session, job_id) if row.artifact_type == "lora_adapter")
    with studio.studio.storage.open(row.storage_path) as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    assert digest == row.sha256
    return digest


def failures(studio: RealStudio, job_id: str) -> int:
    with studio.studio.database.reading() as session:
        told = [event.message or "" for event in events.list_after(session, job_id)]
    return sum("failed" in words for words in told)


def facts(studio: RealStudio, job_id: str) -> tuple[object, ...]:
    job = studio.job(job_id)
    with studio.studio.database.reading() as session:
        lines = len(events.list_after(session, job_id))
        points = len(metrics.series(session, job_id, "train"))
    return (
        job.status,
        job.reason,
        job.message,
        job.hint,
        job.completed_at,
        job.current_step,
        job.attempt,
        lines,
        points,
    )
