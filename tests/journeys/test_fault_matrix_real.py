"""The fault matrix's column "training", with real processes and real signals: worker, training, studio, disk."""

from __future__ import annotations

import hashlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.contract.messages import JournalBatch
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, events, metrics
from brightrun.database.claims import free_claims
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.record_event import record_events
from tests.real_studio import LOOP, OWNER, RealStudio

pytestmark = [pytest.mark.worker, pytest.mark.slow]
_OWN_MOUNTS = ("unshare", "-Urm")


@pytest.fixture
def studio(tmp_path: Path, tiny_model: Path) -> Iterator[RealStudio]:
    made = RealStudio(tmp_path, tiny_model.parent)
    yield made
    left = made.processes()
    for process in left:
        process.kill()
    made.close()
    assert left == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> str:
    """sha256 of the adapter of a job that nothing happened to."""
    calm = RealStudio(tmp_path_factory.mktemp("undisturbed"), tiny_model.parent)
    job_id = calm.submit(sample_dataset, tiny_model.name)
    calm.until(lambda: calm.ended(job_id))
    digest = completed_adapter(calm, job_id)
    assert len(calm.leases(job_id)) == 1
    calm.close()
    return digest


@pytest.fixture
def job_id(studio: RealStudio, sample_dataset: Path, tiny_model: Path) -> str:
    return studio.submit(sample_dataset, tiny_model.name)


def test_worker_server_killed(studio: RealStudio, job_id: str, undisturbed: str) -> None:
    studio.until(lambda: is_training(studio, job_id))
    (server,) = studio.processes("brightrun.worker serve")
    server.kill()
    studio.until(lambda: studio.ended(job_id))
    assert completed_adapter(studio, job_id) == undisturbed
    assert_resumed(studio, job_id)


def test_training_process_killed(studio: RealStudio, job_id: str, undisturbed: str) -> None:
    studio.until(lambda: is_training(studio, job_id))
    (training,) = studio.processes("brightrun.worker run")
    training.kill()
    studio.until(lambda: studio.ended(job_id))
    assert completed_adapter(studio, job_id) == undisturbed
    assert_resumed(studio, job_id)


def test_studio_killed(studio: RealStudio, job_id: str, undisturbed: str) -> None:
    loop = subprocess.Popen(
        [sys.executable, "-m", "tests.real_studio", str(studio.home), str(studio.studio.models)],
        cwd=Path(__file__).parents[2],
    )
    try:
        studio.until(lambda: is_training(studio, job_id), looking=False)
    finally:
        loop.kill()
    assert loop.wait() == -signal.SIGKILL
    with studio.studio.database.session() as session:
        free_claims(session, owner=LOOP)  # as `serve` does when it starts
    studio.until(lambda: studio.ended(job_id))
    assert completed_adapter(studio, job_id) == undisturbed
    assert len(studio.leases(job_id)) == 1, "the worker went on without its studio"


def test_cancelled(studio: RealStudio, job_id: str) -> None:
    studio.until(lambda: is_training(studio, job_id))
    asked = time.monotonic()
    assert cancel_job(studio.studio, owner_id=OWNER, job_id=job_id).status is JobStatus.CANCELLED
    studio.until(lambda: studio.processes() == [])
    assert time.monotonic() - asked < 10
    studio.until(lambda: studio.ended(job_id))

    late = JournalBatch.telling(job_id, 1, studio.leases(job_id)[0].machine_name, studio.journal(job_id))
    assert record_events(studio.studio.database, late, now=studio.studio.clock()).continue_ is False
    assert studio.job(job_id).status is JobStatus.CANCELLED
    assert all(lease.ended_at is not None for lease in studio.leases(job_id))


def may_have_own_mounts() -> bool:
    try:
        tried = subprocess.run(
            [*_OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(not may_have_own_mounts(), reason="needs `unshare -Urm`, to give a worker a very small disk")
def test_disk_full_on_the_worker(studio: RealStudio, job_id: str) -> None:
    work = studio.studio.run_folder(job_id).work
    work.mkdir()
    mount = f"mount -t tmpfs -o size=400k tmpfs {shlex.quote(str(work))}"
    served = f'{mount} && exec {shlex.quote(sys.executable)} -m brightrun.worker serve "$@"'
    cramped = RealStudio(studio.home, studio.studio.models, command=(*_OWN_MOUNTS, "sh", "-c", served, "sh"))
    cramped.until(lambda: cramped.ended(job_id))
    cramped.close()

    job = studio.job(job_id)
    assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.DISK_FULL), job.message
    assert job.hint == EndReason.DISK_FULL.text.hint
    assert job.lora_artifact_path is None
    assert all(lease.ended_at is not None for lease in studio.leases(job_id))
    assert studio.processes() == []


def is_training(studio: RealStudio, job_id: str) -> bool:
    """It trains, the studio knows, and there is a checkpoint to go on from."""
    known = studio.job(job_id).status is JobStatus.TRAINING
    told = studio.journal(job_id)
    return known and told[-1].status is JobStatus.TRAINING and any(event.kind == "checkpoint" for event in told)


def assert_resumed(studio: RealStudio, job_id: str) -> None:
    assert len(studio.leases(job_id)) == 2
    assert any("resumed_step" in event.data for event in studio.journal(job_id))


def completed_adapter(studio: RealStudio, job_id: str) -> str:
    """sha256 of the stored adapter of a job that completed and of which nothing is left running."""
    job = studio.job(job_id)
    assert (job.status, job.reason) == (JobStatus.COMPLETED, None), job.message
    assert all(lease.ended_at is not None for lease in studio.leases(job_id))
    assert studio.processes() == []
    with studio.studio.database.reading() as session:
        (row,) = (row for row in artifacts.list_for_job(session, job_id) if row.artifact_type == "lora_adapter")
        curve = metrics.series(session, job_id, "train")
        told = [event.message for event in events.list_after(session, job_id)]
    assert [words for words in told if words and "failed" in words] == []
    assert [point.step for point in curve] == list(range(1, (job.total_steps or 0) + 1))
    with studio.studio.storage.open(row.storage_path) as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    assert digest == row.sha256
    return digest
