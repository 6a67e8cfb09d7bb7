"""Processes that encode conversations beside the one that reads them; whatever becomes of them, no result is lost.

They are programs of their own, spoken to over pipes: nothing is forked, so threads may start them, and the program that
reads is not run a second time. Where one cannot be started, dies or finds another model, who asked encodes himself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

import brightrun
from brightrun.datasets.encoding_wire import (
    NOT_DONE,
    Done,
    ModelSource,
    Task,
    pack_tasks,
    read_frame,
    source_of,
    unpack_done,
    write_frame,
)
from brightrun.templating.chat_model import ChatModel

WAITING_BATCHES = 3  # of one process, the one it works at among them, so that it never waits for the next
_PACKAGES = str(Path(brightrun.__file__).parents[1])
# Our own code and no other, wherever this process got it from; the folder it is started in may hold anything (-P).
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); import brightrun; from pathlib import Path;"
    "str(Path(brightrun.__file__).parents[1]) == sys.argv[1] or sys.exit(1);"
    "from brightrun.datasets.encoding_process import main; main()"
)


class Batch:
    """Tasks that a process works at."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._done = Event()
        self._answer: bytes | None = None

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def results(self) -> list[Done]:
        """Of each, in order; nothing is done where the process ended before. Waits until it is known."""
        self._done.wait()
        return [NOT_DONE] * self._size if self._answer is None else unpack_done(self._answer, self._size)

    def finish(self, answer: bytes | None) -> None:
        """None: the process ended before."""
        self._answer = answer
        self._done.set()


class EncodingPool:
    """`processes` of them, or fewer where they cannot be started. Close it, and they are gone."""

    def __init__(self, chat: ChatModel, processes: int) -> None:
        self._processes: list[_Process] = []
        source = source_of(chat) if sys.executable else None
        with suppress(OSError):
            while source is not None and len(self._processes) < processes:
                self._processes.append(_Process(source))

    def send(self, tasks: Sequence[Task]) -> Batch | None:
        """Have them done; None where every process has enough to do, loads its model still, or has ended."""
        free = [process for process in self._processes if process.is_free]
        if not free:
            return None
        return min(free, key=lambda process: process.waiting).send(tasks)

    def wait_until_ready(self) -> None:
        """Until every process has its model or has ended."""
        for process in self._processes:
            process.started.wait()

    @property
    def process_ids(self) -> list[int]:
        return [process.process_id for process in self._processes]

    def close(self) -> None:
        for process in self._processes:
            process.close()
        self._processes = []


class _Process:
    def __init__(self, source: ModelSource) -> None:
        """Raises OSError where it cannot be started."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, _PACKAGES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is for who reads
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self._lock = Lock()
        self._batches: deque[Batch] = deque()
        self.started = Event()
        self._is_ready, self._has_ended = False, False
        self._receiver = Thread(target=self._receive, name="encoded conversations", daemon=True)
        try:
            self._receiver.start()
        except RuntimeError as error:  # no more threads
            self._process.kill()
            self._process.communicate()
            raise OSError(str(error)) from error
        self._write(json.dumps(source).encode())

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def waiting(self) -> int:
        return len(self._batches)

    @property
    def is_free(self) -> bool:
        return self._is_ready and not self._has_ended and self.waiting < WAITING_BATCHES

    def send(self, tasks: Sequence[Task]) -> Batch:
        batch = Batch(len(tasks))
        with self._lock:
            if self._has_ended:
                batch.finish(None)
                return batch
            self._batches.append(batch)
        self._write(pack_tasks(tasks))
        return batch

    def close(self) -> None:
        self._process.kill()
        self._receiver.join()
        with suppress(OSError):  # words of ours were still on their way
            self._questions.close()
        self._answers.close()
        self._process.wait()

    def _write(self, frame: bytes) -> None:
        with suppress(OSError):  # it has ended, which the receiver learns too
            write_frame(self._questions, frame)

    def _receive(self) -> None:
        self._is_ready = read_frame(self._answers) is not None
        self.started.set()
        while self._is_ready and (answer := read_frame(self._answers)) is not None:
            self._batches.popleft().finish(answer)
        with self._lock:
            self._has_ended = True
        while self._batches:
            self._batches.popleft().finish(None)
