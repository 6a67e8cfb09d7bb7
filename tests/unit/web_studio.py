"""A whole studio for tests of the web room: SQLite, files in memory, simulated machines, a clock set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi.testclient import TestClient
from pydantic import SecretStr

from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.contract.compute import JobCompute
from brightrun.contract.event_data import StatusData, read_data
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, events, files, jobs
from brightrun.database.database import Database
from brightrun.database.tables import TrainingAttempt, TrainingFile, TrainingJob
from brightrun.jobs.studio import Studio
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner
from brightrun.web.access import Access, LoopbackAccess
from brightrun.web.app import create_app
from brightrun.web.options import WebOptions

ME, SOMEBODY_ELSE = "local", "somebody-else"
MASTER = "a-master-secret-for-tests"
BASE = "http://localhost:8000"
START = datetime(2096, 11, 23, 9, 0, tzinfo=UTC)  # ahead of every real clock: a client drops cookies that are over


class HandClock:
    """Now is what it was set to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


@contextmanager
def a_studio(folder: Path, *, models: Path | None = None) -> Iterator[tuple[Studio, HandClock]]:
    """A studio with migrated tables; its database is closed at the end."""
    clock = HandClock()
    path = folder / "studio.db"
    path.write_bytes(_migrated())
    database = Database(f"sqlite:///{path}")
    studio = Studio(
        database=database,
        storage=InMemory(LinkSigner("a secret for the links", BASE), clock=clock),
        computes={"simulated": SimulatedCompute(clock)},
        models=models or folder / "models",
        home=folder / "home",
        webhook_secret=SecretStr(MASTER),
        default_compute="simulated",
        usd_per_hour={"simulated": Decimal("2.50")},
        clock=clock,
    )
    try:
        yield studio, clock
    finally:
        database.close()


@cache
def _migrated() -> bytes:
    """The bytes of a database with all tables and no row; made once, since migrating takes a while."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()
        return path.read_bytes()


@contextmanager
def a_client(
    studio: Studio, access: Access | None = None, *, options: WebOptions | None = None, loud: bool = True, **extra: Any
) -> Iterator[TestClient]:
    """A client on this machine. `loud`: what breaks inside the app is raised here."""
    app = create_app(studio, access or LoopbackAccess(ME), options)
    settings = {"base_url": BASE, "client": ("127.0.0.1", 50000), "follow_redirects": False, **extra}
    with TestClient(app, raise_server_exceptions=loud, **settings) as client:
        yield client


def a_file(studio: Studio, *, owner_id: str = ME, name: str = "conversations.json") -> TrainingFile:
    """A dataset's row, without its bytes."""
    with studio.database.session() as session:
        row = TrainingFile(
            owner_id=owner_id,
            file_name=name,
            sha256="0" * 64,
            bytes=10,
            format="container",
            storage_path=f"training_files/{owner_id}/{name}",
            audit=None,
            conversations=1,
            answers=2,
            tokens=3,
            created_at=studio.clock(),
        )
        return files.add(session, row)


def a_job(
    studio: Studio,
    *,
    owner_id: str = ME,
    status: JobStatus = JobStatus.TRAINING,
    attempt: int = 1,
    file_id: str | None = None,
    **changes: Any,
) -> TrainingJob:
    """A job's row with one attempt, as a worker may tell of."""
    file_id = file_id or a_file(studio, owner_id=owner_id).id
    now = studio.clock()
    row = TrainingJob(
        owner_id=owner_id,
        training_file_id=file_id,
        name="A job: first, try",
        status=status,
        spec=_a_spec().model_dump(mode="json"),
        base_model="tiny-llama",
        recipe="balanced",
        hyperparameters=Hyperparameters().model_dump(mode="json"),
        compute=JobCompute(provider="simulated"),
        attempt=attempt,
        created_at=now,
        status_changed_at=now,
        **changes,
    )
    with studio.database.session() as session:
        job, _ = jobs.add(session, row)
        if attempt:
            lease = TrainingAttempt(
                job_id=job.id,
                number=attempt,
                provider="simulated",
                machine_name=f"train-{job.id}-{attempt}",
                launch_intended_at=now,
                last_sequence=0,
            )
            attempts.open_lease(session, lease)
    return job


def _a_spec() -> JobSpec:
    digest = "0" * 64
    return JobSpec(
        job_id="a-job",
        recipe="balanced",
        hyperparameters=Hyperparameters(),
        model=ModelRef(name="tiny-llama", revision="test", path="/nowhere"),
        dataset=DatasetRef(
            source_name="conversations.json",
            source_sha256=digest,
            train_path="data/train.jsonl",
            train_sha256=digest,
            validation_path="data/validation.jsonl",
            validation_sha256=digest,
            split_sha256=digest,
        ),
    )


def tell(studio: Studio, job: TrainingJob, message: str, *, kind: str = "message") -> int:
    """An event of the studio's own; its id."""
    with studio.database.session() as session:
        event = events.append_own(
            session,
            job_id=job.id,
            data=read_data(kind, {}),
            status=job.status,
            happened_at=studio.clock(),
            message=message,
        )
        return event.id


def end(studio: Studio, job: TrainingJob, status: JobStatus, reason: EndReason | None = None) -> None:
    """The job ends, told in the same transaction as the use cases do."""
    with studio.database.session() as session:
        jobs.change_if(
            session, job.id, expected=[job.status], status=status, reason=reason, completed_at=studio.clock()
        )
        events.append_own(
            session, job_id=job.id, data=StatusData(), status=status, happened_at=studio.clock(), reason=reason
        )
