"""Faults for a studio with the real worker. To strike in a state and not near it, the training process is stopped
(SIGSTOP) as soon as its journal tells the state: it stays there until it is let go on, or is killed.
"""

from __future__ import annotations

import http.server
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fastapi.testclient import TestClient

from brightrun.contract.events import Event, read_event_log
from brightrun.contract.messages import EventBatch, WebhookReply
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.web.api.webhook import PATH
from brightrun.worker.job_record import JobRecord
from tests.real_studio import SECRET, RealStudio
from tests.unit.web_studio import a_client

OUTAGE_SECONDS = 1.5
"""The issue's 30 seconds, a twentieth; what waits for it waits a twentieth too (`LOCK_WAIT_SECONDS`)."""
LOCK_WAIT_SECONDS = 3.0
_PATIENCE_SECONDS = 120


@contextmanager
def stopped_at(
    studio: RealStudio, job_id: str, state: JobStatus, *, attempt: int = 1, folder: Path | None = None
) -> Iterator[psutil.Process]:
    """The training process, standing still in a state; in "training" once it has a checkpoint. It goes on afterwards.

    Args:
        folder: Where the run lies, if not where the studio has it.
    """
    run = RunFolder(folder or studio.studio.run_folder(job_id).root)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    size = 0
    while size == (size := _bytes(run.event_log)) or not _is_in(_told(run), state, attempt):
        assert time.monotonic() < deadline, f"never {state}: {[event.message for event in _told(run)][-3:]}"
        time.sleep(0.001)
    record = JobRecord.load(run.root)
    assert record is not None
    assert record.process is not None
    process = record.process.process()
    assert process is not None
    process.suspend()
    last = _told(run)[-1]
    assert (last.status, last.kind == "end") == (state, False), "it was quicker than the test"
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):  # killed meanwhile
            process.resume()


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _told(run: RunFolder) -> list[Event]:
    return list(read_event_log(run.event_log))


def _is_in(told: list[Event], state: JobStatus, attempt: int) -> bool:
    if not told or told[-1].attempt != attempt:
        return False
    assert told[-1].kind != "end", f"it ended before it was {state}: {told[-1].message}"
    assert _ORDER.index(told[-1].status) <= _ORDER.index(state), f"it was past {state} before it was seen"
    ready = state is not JobStatus.TRAINING or any(event.kind == "checkpoint" for event in told)
    return told[-1].status is state and ready


_ORDER = list(JobStatus)


def known(studio: RealStudio, job_id: str, state: JobStatus) -> None:
    """The studio sees it too; somebody else has it look."""
    studio.until(lambda: studio.job(job_id).status is state, looking=False)


@contextmanager
def locked(studio: RealStudio) -> Iterator[None]:
    """Somebody else holds the database's write lock."""
    database = studio.studio.database.url.database
    assert database is not None
    holder = sqlite3.connect(database, isolation_level=None, timeout=30)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


@contextmanager
def without_store(studio: RealStudio) -> Iterator[None]:
    """The store's folder is not there, and none can be made in its place, as when a network disk drops off."""
    store = studio.home / "storage"
    away = store.rename(studio.home / "storage that is away")
    store.touch()
    try:
        yield
    finally:
        store.unlink()
        away.rename(store)


@dataclass
class ServedStudio:
    """`brightrun serve` in a process of its own over the database and folders of a RealStudio, to be killed."""

    studio: RealStudio
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0

    def starts(self) -> None:
        home = self.studio.home
        own = {
            "BRIGHTRUN_HOME": str(home),
            "BRIGHTRUN_DATABASE_URL": f"sqlite:///{home}/studio.db",
            "BRIGHTRUN_STORAGE": str(home / "storage"),
            "BRIGHTRUN_MODELS": str(self.studio.studio.models),
            "TRAINING_WEBHOOK_SECRET": SECRET,
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BRIGHTRUN_")}
        with (home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "brightrun.cli", "serve", "--port", "0"],
                cwd=home, env={**clean, **own}, stdout=log, stderr=log,
            )  # fmt: skip

    def says(self) -> str:
        return (self.studio.home / "serve.log").read_text(encoding="utf-8")

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.says()
        return self.says().count("The studio is at") > self.kills

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert self.process.wait() == -9
        self.process = None
        self.kills += 1

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP), at a moment when it does not hold the database's lock."""
        assert self.process is not None
        for _ in range(100):
            self.process.send_signal(signal.SIGSTOP)
            if self._database_is_free():
                return
            self.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        raise AssertionError("The studio never let go of its database.")

    def _database_is_free(self) -> bool:
        with closing(sqlite3.connect(self.studio.home / "studio.db", timeout=0.2, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            database.execute("ROLLBACK")
            return True

    def ends(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.send_signal(signal.SIGCONT)  # one that is stopped would not hear of it
            self.process.wait(timeout=30)


@dataclass
class BadNetwork:
    """Between the worker and the studio's own webhook route. What it does to a batch is the subclass's.

    Attributes:
        struck: How many batches with new lines of a state something was done to.
        seen: Every body that the worker sent, in order.
    """

    struck: Counter[JobStatus] = field(default_factory=Counter)
    seen: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    door: TestClient | None = None
    _newest: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes, headers: dict[str, str]) -> bytes | None:
        """The answer to the worker; None: there is none, the connection breaks."""
        with self._lock:
            self.seen.append((body, headers))
            batch = EventBatch.model_validate_json(body)
            updates = {event.status for event in batch.events if event.sequence > self._newest.get(batch.attempt, 0)}
            top = max((event.sequence for event in batch.events), default=0)
            self._newest[batch.attempt] = max(self._newest.get(batch.attempt, 0), top)
            if self.strikes(body, headers, new=bool(updates)):
                self.struck.update(updates)
                return None
            answer = self.forward(body, headers)
            self.after(updates)
            return answer

    def forward(self, body: bytes, headers: dict[str, str]) -> bytes:
        assert self.door is not None
        answer = self.door.post(PATH, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.content

    def strikes(self, body: bytes, headers: dict[str, str], *, new: bool) -> bool:
        """Whether the batch does not get through now."""
        raise NotImplementedError

    def after(self, updates: set[JobStatus]) -> None:
        """What happens once a batch got through."""

    def everything_again(self) -> list[WebhookReply]:
        return [WebhookReply.model_validate_json(self.forward(body, headers)) for body, headers in self.seen]


class Loses(BadNetwork):
    """The first batch with a new line never arrives."""

    def strikes(self, body: bytes, headers: dict[str, str], *, new: bool) -> bool:  # noqa: ARG002 the others' signature
        return new


class Duplicates(BadNetwork):
    """Every batch arrives three times."""

    def strikes(self, body: bytes, headers: dict[str, str], *, new: bool) -> bool:  # noqa: ARG002 the others' signature
        self.forward(body, headers)
        self.forward(body, headers)
        return False

    def after(self, updates: set[JobStatus]) -> None:
        self.struck.update(updates)


class Reorders(BadNetwork):
    """The first batch with a new line arrives after the one that the worker sent next, and then backwards."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tuple[bytes, dict[str, str]]] = []

    def strikes(self, body: bytes, headers: dict[str, str], *, new: bool) -> bool:
        if new:
            self._kept.append((body, headers))
        return new

    def after(self, updates: set[JobStatus]) -> None:  # noqa: ARG002 the others' signature
        for body, headers in reversed(self._kept):
            self.forward(body, headers)
        self._kept = []


class Delays(BadNetwork):
    """Nothing arrives before the test lets it."""

    def strikes(self, body: bytes, headers: dict[str, str], *, new: bool) -> bool:  # noqa: ARG002 the others' signature
        return True


@contextmanager
def listening(network: BadNetwork) -> Iterator[str]:
    """The address that workers are told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept = {
                name: value for name, value in self.headers.items() if name.lower().startswith(("webhook", "content"))
            }
            answer = network.take(body, kept)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def with_door(studio: RealStudio, network: BadNetwork) -> Iterator[None]:
    """The studio's own API, signatures and all, behind the network."""
    with a_client(studio.studio) as network.door:
        yield


def fill_disk(folder: Path) -> None:
    """Leave no byte free on a folder's disk."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        for block in (1 << 20, 4096, 1):
            try:
                while True:
                    filler.write(bytes(block))
            except OSError:
                continue
