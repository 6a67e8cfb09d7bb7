"""A worker process on this machine that answers as base and tuned model, over lines of JSON."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from brightrun.compute.tagged_processes import worker_environment
from brightrun.errors import ComputeError
from brightrun.format import about_text

WORKER_CHAT = (sys.executable, "-m", "brightrun.worker", "chat")
_GRACE_SECONDS = 3.0


class ChatProcess:
    """A Chat. Its process ends when its input does, so it never outlives the studio.

    Args:
        run: Folder with `job.json` and `adapter/`; its words go to `chat.log` there.
        command: What is started; the folder is added.
    """

    def __init__(self, run: Path, *, command: Sequence[str] = WORKER_CHAT) -> None:
        environment = worker_environment(os.environ, {}, f"chat.{uuid.uuid4().hex}")
        self._log = run / "chat.log"
        try:
            with self._log.open("ab") as words:
                self._process = subprocess.Popen(
                    [*command, str(run)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    text=True,
                    encoding="utf-8",
                    env=environment,
                    start_new_session=True,  # a Ctrl-C at the studio is the studio's
                )
        except OSError as error:
            raise ComputeError(f"The worker's program cannot be started: {error.strerror}.", hint="") from error
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._is_ready = False
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), name="chat answers", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        if not self._is_ready:  # its first line says that the models are loaded
            self._next(seconds)
            self._is_ready = True
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            self.close()
            raise ComputeError("The models were unloaded while they were asked.", hint="Ask again.") from error
        return self._next(seconds)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # it had ended, with words of ours still on their way
            self._process.stdin.close()
        try:
            self._process.wait(_GRACE_SECONDS if self._is_ready else 0.1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
            answer: dict[str, Any] | None = None if line is None else json.loads(line)
        except queue.Empty as error:
            self._is_ready = False
            self.close()
            raise ComputeError(
                f"The models did not answer within {about_text(seconds)}.", hint="Ask for a shorter answer."
            ) from error
        except ValueError:
            answer = None
        if answer is None:
            self._is_ready = False
            self.close()
            raise ComputeError(f"The models could not be asked: {self._last_output()}", hint="Ask again.")
        return answer

    def _last_output(self) -> str:
        try:
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            said = []
        lines = [line.removeprefix("error: ") for line in said if line.startswith("error: ")] or said
        return lines[-1][:300] if lines else "their process ended without a word."
