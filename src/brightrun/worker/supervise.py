"""One job's training process: launched, watched, stopped, found again after a crash. How it ended is always told."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from brightrun.contract.event_data import EndData
from brightrun.contract.events import MessageEvent, StepEvent
from brightrun.contract.messages import StartFile
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import BrightRunError
from brightrun.worker.attempt import reason_for
from brightrun.worker.end_at_limit import KEEPING
from brightrun.worker.event_log import EventLog
from brightrun.worker.event_log_reader import EventLogReader
from brightrun.worker.fetch import FetchStopped, fetch_files
from brightrun.worker.find_model import resolve_model
from brightrun.worker.job_record import ProcessMark, RecordBook
from brightrun.worker.limits import LimitReached

LOG_NAME = "worker.log"
GRACE = timedelta(seconds=5)
_LOOK_SECONDS, _KILLED_SECONDS = 0.2, 30
_BEYOND_LIMIT = timedelta(minutes=1)  # for its checkpoint, beside two of its steps
_TIME_TO_EXPORT = timedelta(minutes=10)
_SECRET_ENDINGS = ("_TOKEN", "_SECRET", "_KEY", "_PASSWORD", "DATABASE_URL")
_RESERVE_NAME, _RESERVE_BYTES = ".reserve", 1 << 16
_OOM_COUNTER = Path("/sys/fs/cgroup/memory.events")
_LIMITS = frozenset({EndReason.TIME_LIMIT, EndReason.BUDGET_REACHED, EndReason.CANCELLED_BY_USER})
_log = logging.getLogger(__name__)


class Supervisor:
    """Watches over one attempt and owns its end. Its thread ends when that end is in the event log.

    The training process writes its last line itself and hears of an end from here alone; only where it is gone without
    one is the line written here. It keeps its limits by itself; one that hangs is killed here, and `at_limit` called.
    """

    def __init__(
        self, folder: RunFolder, book: RecordBook, tail: EventLogReader, *, models: Path | None,
        now: Callable[[], datetime], grace: timedelta, at_limit: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._at_limit = at_limit
        self._folder, self._book, self._tail = folder, book, tail
        self._models, self._now, self._grace = models, now, grace
        self._process: Any = None  # psutil.Popen, or psutil.Process where an earlier server started it
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._oom_kills = _oom_kills()

    @property
    def alive(self) -> bool:
        """Files are on their way, the process lives, or its end is not told yet."""
        return not self._ended.is_set()

    def begin(self, files: Sequence[StartFile]) -> None:
        """Fetch what is missing, then train; returns at once."""
        self._in_background(lambda: self._fetch_and_launch(files))

    def find_again(self) -> None:
        """Take up a process that an earlier server started, or tell its end."""
        mark = self._book.record.process
        self._process = (None if mark is None else mark.process()) or _trainer_of(self._folder.root)
        if self._process is None:
            self._live(lambda: None)
        else:  # a server that died while it ended the process left word of that
            self._in_background(self._kill if self._book.record.ending_for else lambda: None)

    def rest(self) -> None:
        """There is nothing to run: the event log is complete."""
        self._ended.set()

    def stop_after_step(self, reason: EndReason) -> None:
        """Have the process end by itself after its step, with a checkpoint and an adapter of it; returns at once."""
        if not self._ended.is_set() and self._book.record.asked_to_stop_at is None:
            self._book.change(stop_after_step=reason, asked_to_stop_at=self._now())

    def stop(self) -> None:
        """Ask the process to end, end it after the grace, and return when its end is told."""
        if self._ended.is_set():
            return
        self._stopping.set()
        self._book.change(ending_for=self._book.record.ending_for or EndReason.INTERRUPTED)
        with self._lock, contextlib.suppress(psutil.NoSuchProcess):
            if self._process is not None:
                self._process.send_signal(signal.SIGINT)
        if not self._ended.wait(self._grace.total_seconds()):
            self._kill()
            self._ended.wait(_KILLED_SECONDS)

    def _kill(self) -> None:
        with self._lock, contextlib.suppress(psutil.NoSuchProcess):
            if self._process is not None:
                self._process.kill()

    def _in_background(self, prepare: Callable[[], None]) -> None:
        threading.Thread(target=self._live, args=(prepare,), name="supervisor", daemon=True).start()

    def _live(self, prepare: Callable[[], None]) -> None:
        try:
            prepare()
            status = self._watch()
            self._report_end(status)
            self._export()
        except LimitReached as limit:
            self._book.change(ending_for=limit.reason)
            self._report_end(None)
            self._export()
        except FetchStopped:
            self._report_end(None)
        except (BrightRunError, OSError) as error:
            _log.warning("The job in %s could not be started: %s", self._folder.root.name, error)
            self._report_failure(error)
        finally:
            self._ended.set()

    def _fetch_and_launch(self, files: Sequence[StartFile]) -> None:
        (self._folder.root / _RESERVE_NAME).write_bytes(bytes(_RESERVE_BYTES))
        resolve_model(self._folder.spec, self._models)
        fetch_files(self._folder.root, files, stopped=self._stopping)
        limit = self._book.record.limit()
        if limit is not None and self._now() >= limit.at:
            raise LimitReached(limit.reason)
        with self._lock, (self._folder.root / LOG_NAME).open("ab") as log:
            if self._stopping.is_set():
                raise FetchStopped
            attempt = str(self._book.record.span.attempt)
            self._process = psutil.Popen(
                [sys.executable, "-m", "brightrun.worker", "run", str(self._folder.root), "--attempt", attempt,
                 "--supervised"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=trainer_environment(os.environ),
                start_new_session=True,
            )  # fmt: skip
            self._book.change(process=ProcessMark.of(self._process.pid))

    def _watch(self) -> int | None:
        """Wait for the process; its exit status, or None where another server started it or there is none."""
        while self._process is not None:
            try:
                status: int | None = self._process.wait(timeout=_LOOK_SECONDS)
            except psutil.TimeoutExpired:
                if not isinstance(self._process, psutil.Popen) and _is_gone(self._process):
                    return None
                self._keep_limits()
            else:
                return status
        return None

    def _keep_limits(self) -> None:
        record = self._book.record
        limit = None if record.ending_for else record.limit()
        if limit is None or self._now() < limit.at or self._now() < limit.at + self._patience():
            return
        # Killed, not asked: it had its time to end by itself, and would tell another reason.
        self._book.change(ending_for=limit.reason)
        self._kill()

    def _export(self) -> None:
        """Where the process was ended at a limit, it made no adapter; there may be a checkpoint to make it of."""
        if self._book.record.ending_for in _LIMITS and any(self._folder.checkpoints.glob("step-*")):
            self._at_limit()

    def _patience(self) -> timedelta:
        """How long the process may go on beyond a limit: to end its step, or to write its adapter once it began to."""
        last = self._tail.last()
        if isinstance(last, MessageEvent) and last.data.code == KEEPING:
            return _TIME_TO_EXPORT
        return _BEYOND_LIMIT + 2 * _last_step(self._tail)

    def _report_end(self, status: int | None) -> None:
        """Write the event log's last line where the process could not."""
        last = self._tail.last()
        if last is not None and last.kind == "end" and last.sequence > self._book.record.span.begins_after:
            return
        reason = self._why(status)
        how = "" if status is None else f" by signal {-status}" if status < 0 else f" with status {status}"
        words = "The training process ended" + (how or " while nobody watched it") + "."
        if reason in _LIMITS:
            words = reason.text.words
        elif self._book.record.ending_for is not None:
            words = "The run was stopped."
        trace = _last_output(self._folder.root / LOG_NAME) if reason is EndReason.INTERNAL else ""
        self._write_end(reason, words, EndData(code="process_ended", details={"exit_status": status}, trace=trace))

    def _why(self, status: int | None) -> EndReason:
        asked = self._book.record.ending_for
        if asked is not None:
            return asked
        if self._oom_kills is not None and (_oom_kills() or 0) > self._oom_kills:
            return EndReason.OUT_OF_MEMORY
        if status and _disk_is_full(self._folder.root):
            return EndReason.DISK_FULL
        return EndReason.INTERRUPTED if status is None or status < 0 else EndReason.INTERNAL

    def _report_failure(self, error: BrightRunError | OSError) -> None:
        reason = reason_for(error)
        if isinstance(error, BrightRunError):
            data = EndData(hint=error.hint, code=error.code, details=error.details)
            self._write_end(reason, error.message, data)
        else:
            self._write_end(reason, str(error), EndData(code=type(error).__name__))

    def _write_end(self, reason: EndReason, message: str, data: EndData) -> None:
        data = EndData(hint=reason.text.hint).model_copy(update=data.known())
        try:
            self._append_end(reason, message, data)
        except OSError:
            # The disk is full, most likely: what is kept for this moment is given up, and half-written checkpoints.
            (self._folder.root / _RESERVE_NAME).unlink(missing_ok=True)
            for partial in self._folder.checkpoints.glob(".*"):
                shutil.rmtree(partial, ignore_errors=True)
            self._append_end(reason, message, data)

    def _append_end(self, reason: EndReason, message: str, data: EndData) -> None:
        event_log = EventLog(self._folder.event_log, attempt=self._book.record.span.attempt)
        try:
            event_log.end(JobStatus.FAILED, message, data, reason=reason)
        finally:
            event_log.close()


def trainer_environment(environment: dict[str, str] | os._Environ[str]) -> dict[str, str]:
    """What the training process inherits: no secret, since it needs none."""
    return {name: value for name, value in environment.items() if not name.upper().endswith(_SECRET_ENDINGS)}


def _last_step(tail: EventLogReader) -> timedelta:
    """How long the newest step took that the last lines tell of; zero where they tell of none."""
    newest = tail.count()
    for event in reversed(tail.read(after=max(newest - 100, 0), limit=100)):
        if isinstance(event, StepEvent) and event.data.tokens and event.data.tokens_per_second:
            return timedelta(seconds=event.data.tokens / event.data.tokens_per_second)
    return timedelta(0)


def _is_gone(process: Any) -> bool:
    """Whether it is dead, also where nobody has asked for its exit status yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _trainer_of(folder: Path) -> Any:
    """The process that trains in `folder`, where a server died before it could write down which."""
    wanted = ["-m", "brightrun.worker", "run", str(folder)]
    for process in psutil.process_iter(["cmdline", "status"]):
        if (process.info["cmdline"] or [])[1:5] == wanted and process.info["status"] != psutil.STATUS_ZOMBIE:
            return process
    return None


def _oom_kills() -> int | None:
    """How often the kernel has ended a process of this container for want of memory; None where it cannot be known."""
    try:
        lines = _OOM_COUNTER.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _disk_is_full(folder: Path) -> bool:
    said = os.strerror(errno.ENOSPC) in _last_output(folder / LOG_NAME)
    return said or shutil.disk_usage(folder).free < _RESERVE_BYTES


def _last_output(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - 4000, 0))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
