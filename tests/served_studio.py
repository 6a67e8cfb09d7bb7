"""A studio as a person runs it: `brightrun serve` in its own process and folder, with the real worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
from sqlalchemy import select

from brightrun.cli.studio_client import StudioClient
from brightrun.compute.tagged_processes import TAG
from brightrun.database.database import Database
from brightrun.database.tables import TrainingAttempt
from tests.runs import SMALL

MODEL = "tiny-llama"
MASTER_SECRET = "master-secret-of-the-journey-0123456789"
HUB_TOKEN = "hf_token_of_the_journey_0123456789"
_TERMINAL = {"completed", "failed", "cancelled"}
Found = TypeVar("Found")


@dataclass
class Place:
    """A folder with a home in it, a studio that can be killed, and everything that was ever said there."""

    folder: Path
    port: int = 0
    token: str = field(default="", repr=False)
    process: subprocess.Popen[bytes] | None = None
    jobs: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BRIGHTRUN_")}
        own = {"BRIGHTRUN_HOME": str(self.home), "BRIGHTRUN_URL": self.url, "BRIGHTRUN_TOKEN": self.token}
        return {**clean, **own, "TRAINING_WEBHOOK_SECRET": MASTER_SECRET, "HF_TOKEN": HUB_TOKEN}

    def types(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "brightrun.cli", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if arguments[:2] != ("token", "create"):
            with (self.folder / "said.log").open("a", encoding="utf-8") as log:
                log.write(done.stdout + done.stderr)
        return done

    def json(self, *arguments: str | Path) -> Any:
        done = self.types(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def starts(self) -> None:
        """The studio, at the same address as before."""
        log = self.folder / "studio.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "brightrun.cli", "serve", "--port", str(self.port)],
                cwd=self.folder,
                env=self.environment,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

        def address() -> re.Match[str] | None:
            assert self.process is not None
            assert self.process.poll() is None, log.read_text()
            return re.search(r"The studio is at http://127\.0\.0\.1:(\d+)\n", log.read_bytes()[before:].decode())

        self.port = int(until(address)[1])

    def stops(self) -> None:
        """As with Ctrl-C, and whatever trains for it is ended too."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            assert self.process.wait(timeout=30) == 0
        finally:
            self.process.kill()
            self.process.wait()
            for process in [one for job_id in self.jobs for one in processes_of(job_id)]:
                process.kill()

    def client(self) -> StudioClient:
        return StudioClient(self.url)

    def job(self, job_id: str) -> dict[str, Any]:
        with self.client() as client:
            return client.job(job_id)

    def ended(self, job_id: str, *, seconds: float = 120) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in _TERMINAL else None

        return until(over, seconds=seconds)

    def start_job(self, **changes: Any) -> str:
        """By the command line, on the sample dataset."""
        settings = {**SMALL, **changes}
        given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        started = self.json("job", "start", self.folder / "conversations.json", "--model", MODEL, *given)
        self.jobs.append(started["training_job_id"])
        return str(started["training_job_id"])

    def open_leases(self) -> list[str]:
        database = Database(f"sqlite:///{self.home / 'studio.db'}")
        try:
            with database.reading() as session:
                open_ones = select(TrainingAttempt.machine_name).where(TrainingAttempt.ended_at.is_(None))
                return list(session.scalars(open_ones))
        finally:
            database.close()


def until(found: Callable[[], Found | None], *, seconds: float = 60) -> Found:
    """What `found` gives as soon as it is something; for what other processes do in their own time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def processes_of(job_id: str = "") -> list[psutil.Process]:
    """The living processes of a job's machines; of every job of this module's where none is named."""
    found = []
    for process in psutil.process_iter():
        try:
            tag = process.environ().get(TAG, "")
            if tag.startswith(f"train-{job_id}") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found
