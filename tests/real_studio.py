"""A studio with the real worker: SQLite and files in a folder, worker processes on this machine, the real clock.

Run as a module it is the studio's loop in a process of its own, to be killed: `-m tests.real_studio HOME MODELS`; a
third argument is what an hour of this machine costs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from brightrun.assembly import BUCKET
from brightrun.cli.reconciler import Reconciler
from brightrun.compute.local_process import WORKER_SERVER, LocalProcess
from brightrun.contract.events import Event, read_event_log
from brightrun.database import attempts, jobs
from brightrun.database.database import Database
from brightrun.database.tables import TrainingAttempt, TrainingJob
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.reconcile import reconcile_once
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest, submit_job
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
from tests.runs import SMALL

OWNER, LOOP = "owner", "studio-of-this-test"
SECRET = "a master secret of these tests"
_PATIENCE_SECONDS = 150


class RealStudio:
    """Opens the studio that lies in `home`, or makes one there.

    Args:
        command: What starts a worker server.
        price: What an hour of this machine costs.
        attempts: How many machines a job may have; the product's three are too few where several are killed.
        public_url: Where its workers push to; None: they are asked.
        lock_wait_seconds: How long a writer waits for the database; the product waits a minute.
    """

    def __init__(
        self,
        home: Path,
        models: Path,
        *,
        command: Sequence[str] = WORKER_SERVER,
        price: Decimal | None = None,
        attempts: int = 3,
        public_url: str | None = None,
        lock_wait_seconds: float = 60,
    ) -> None:
        database = Database(f"sqlite:///{home}/studio.db", lock_wait_seconds=lock_wait_seconds)
        database.migrate()
        self.home = home
        self.studio = Studio(
            database=database,
            storage=LocalFolder(home / "storage" / BUCKET, LinkSigner("a secret of tests", "http://studio.test")),
            computes={
                "local_process": LocalProcess(
                    home / "machines", command=command, grace=timedelta(seconds=2), price=price
                )
            },
            models=models,
            home=home,
            webhook_secret=SecretStr(SECRET),
            public_url=public_url,
            limits=ReconcileLimits(
                poll=timedelta(seconds=0.2),
                silence=timedelta(seconds=60),
                launch=timedelta(seconds=90),
                attempts=attempts,
            ),
        )

    def submit(self, dataset: Path, model: str, **settings: Any) -> str:
        file = add_dataset(self.studio, owner_id=OWNER, file_name=dataset.name, source=dataset)
        hyperparameters = {**SMALL, "max_seq_length": 4096, **settings}
        request = JobRequest(training_file_id=file.id, base_model=model, hyperparameters=hyperparameters)
        return submit_job(self.studio, request, owner_id=OWNER).id

    @contextmanager
    def looking(self) -> Iterator[None]:
        """The loop that `brightrun serve` runs, in a thread of its own for as long as the block."""
        loop = Reconciler(self.studio, LOOP)
        loop.start()
        try:
            yield
        finally:
            assert loop.stop()

    def poll(self) -> None:
        reconcile_once(self.studio, owner=LOOP)
        time.sleep(0.1)

    def until(self, reached: Callable[[], bool], *, looking: bool = True) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not reached():
            assert time.monotonic() < deadline, "it never came to it"
            if looking:
                self.poll()
            else:
                time.sleep(0.02)

    def job(self, job_id: str) -> TrainingJob:
        with self.studio.database.reading() as session:
            job = jobs.get(session, job_id)
        assert job is not None
        return job

    def leases(self, job_id: str) -> list[TrainingAttempt]:
        with self.studio.database.reading() as session:
            return attempts.list_for_job(session, job_id)

    def ended(self, job_id: str) -> bool:
        job = self.job(job_id)
        return job.status.is_terminal and job.next_check_at is None

    def event_log(self, job_id: str) -> list[Event]:
        path = self.studio.run_folder(job_id).event_log
        return list(read_event_log(path)) if path.exists() else []

    def processes(self, *words: str) -> list[psutil.Process]:
        """Living processes that carry this studio's folder, and `words`, in their command line."""
        return [process for process in psutil.process_iter() if _carries(process, (str(self.home), *words))]

    def close(self) -> None:
        self.studio.database.close()


def _carries(process: psutil.Process, words: Sequence[str]) -> bool:
    try:
        line = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and all(word in line for word in words)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    price = Decimal(sys.argv[3]) if len(sys.argv) > 3 else None
    own = RealStudio(Path(sys.argv[1]), Path(sys.argv[2]), price=price)
    while True:
        own.poll()
