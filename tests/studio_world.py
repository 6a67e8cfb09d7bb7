"""A studio in a small world for tests: SQLite, files in memory, simulated machines, a clock that is turned by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr

from brightrun.compute.simulated.faults import FaultScript, no_faults
from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.contract.compute import JobCompute
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.states import JobStatus
from brightrun.database import attempts, files, jobs
from brightrun.database.database import Database
from brightrun.database.tables import TrainingAttempt, TrainingFile, TrainingJob
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.reconcile import reconcile_once
from brightrun.jobs.studio import Studio
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner

OWNER = "owner"
_NO_HASH = "0" * 64


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class World:
    """One studio, its provider and its clock; `reborn` is the studio after a crash, with the same database and disk."""

    def __init__(
        self,
        home: Path,
        *,
        script: FaultScript = no_faults,
        database_url: str | None = None,
        limits: ReconcileLimits | None = None,
        capacity: int | None = None,
    ) -> None:
        self.clock = Clock()
        self.home = home
        self.simulated = SimulatedCompute(self.clock, script, capacity=capacity, price=Decimal("3.60"))
        self.storage = InMemory(_signer(), clock=self.clock)
        self.database = Database(database_url or f"sqlite:///{_fast_folder(home)}/studio.db")
        self.database.migrate()
        self.limits = limits or ReconcileLimits(poll=timedelta(seconds=15))
        self.studio = self.reborn()

    def reborn(self) -> Studio:
        return Studio(
            database=self.database,
            storage=self.storage,
            computes={"simulated": self.simulated},
            models=self.home / "models",
            home=self.home,
            webhook_secret=SecretStr("a secret of tests"),
            default_compute="simulated",
            transports={"simulated": self.simulated.transport()},
            clock=self.clock,
            limits=self.limits,
            usd_per_hour={"simulated": Decimal("3.60")},
        )

    def add_job(self, job_id: str, *, max_cost_usd: str | None = None, max_hours: float | None = None) -> str:
        """A job as submit leaves it; what its data says does not matter to simulated machines."""
        now = self.clock()
        spec = make_spec(job_id)
        data = self.studio.run_folder(job_id).data
        data.mkdir(parents=True)
        for name in ("train.jsonl", "validation.jsonl", "audit.json"):
            (data / name).write_text("{}\n", encoding="utf-8")
        with self.database.session() as session:
            [file] = files.list_same(session, owner_id=OWNER, sha256=_NO_HASH) or [files.add(session, _file(now))]
            job = TrainingJob(
                id=job_id,
                owner_id=OWNER,
                training_file_id=file.id,
                name=job_id,
                status=JobStatus.QUEUED,
                spec=spec.model_dump(mode="json"),
                base_model=spec.model.name,
                recipe=spec.recipe,
                hyperparameters=spec.hyperparameters.model_dump(mode="json"),
                compute=JobCompute(provider="simulated", max_cost_usd=max_cost_usd, max_duration_hours=max_hours),
                attempt=0,
                created_at=now,
                status_changed_at=now,
                next_check_at=now,
            )
            jobs.add(session, job)
        return job_id

    def live(self, *, until: Callable[[], bool], seconds: float = 15, rounds: int = 4000) -> None:
        """Turn the clock and reconcile until `until`; fails if that never comes."""
        for _ in range(rounds):
            while reconcile_once(self.studio, owner="studio"):
                if until():
                    return
                if not self._anything_due():
                    break
            if until():
                return
            self.clock.turn(seconds)
        raise AssertionError("the world never came to rest")

    def job(self, job_id: str) -> TrainingJob:
        with self.database.reading() as session:
            job = jobs.get(session, job_id)
        assert job is not None
        return job

    def leases(self, job_id: str) -> list[TrainingAttempt]:
        with self.database.reading() as session:
            return attempts.list_for_job(session, job_id)

    def at_rest(self) -> bool:
        """No job will ever be looked at again."""
        with self.database.reading() as session:
            page = jobs.list_page(session, owner_id=OWNER, limit=100)
        return all(job.next_check_at is None and job.status.is_terminal for job in page.items)

    def _anything_due(self) -> bool:
        with self.database.reading() as session:
            page = jobs.list_page(session, owner_id=OWNER, limit=100)
        return any(job.next_check_at is not None and job.next_check_at <= self.clock() for job in page.items)


def make_spec(job_id: str) -> JobSpec:
    return JobSpec(
        job_id=job_id,
        recipe="balanced",
        hyperparameters=Hyperparameters(),
        model=ModelRef(name="tiny-llama", revision="test", path="/nowhere"),
        dataset=DatasetRef(
            source_name="sample.json",
            source_sha256=_NO_HASH,
            train_path="data/train.jsonl",
            train_sha256=_NO_HASH,
            validation_path="data/validation.jsonl",
            validation_sha256=_NO_HASH,
            split_sha256=_NO_HASH,
        ),
    )


def _file(now: datetime) -> TrainingFile:
    return TrainingFile(
        owner_id=OWNER,
        file_name="sample.json",
        sha256=_NO_HASH,
        bytes=3,
        storage_path="training_files/x",
        created_at=now,
    )


def _signer() -> LinkSigner:
    return LinkSigner("another secret of tests", "http://studio.test")


def _fast_folder(home: Path) -> Path:
    """Memory, where there is some: simulations write thousands of transactions and lose nothing with the machine."""
    shared = Path("/dev/shm")  # noqa: S108
    return Path(tempfile.mkdtemp(dir=shared)) if shared.is_dir() else home
