"""Runs a worker process on a run's folder and shows its journal live. Knows only what the journal says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from brightrun.cli.show import duration, problems
from brightrun.contract.events import Event, read_event_log
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.errors import BrightRunError, MissingDependency

_LOOK_SECONDS = 0.2


class RunFailed(BrightRunError):
    """The worker's own last words."""

    code = "run_failed"


def run_and_watch(folder: RunFolder) -> Event:
    """Start the worker, show what it tells, and return its last event.

    Raises:
        RunFailed: the run ended otherwise than completed; its message and hint are the journal's.
        KeyboardInterrupt: a person stopped it; the worker was stopped first.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("trl") is None:
        raise MissingDependency("Training needs the training stack, which is not installed.")
    seen = sum(1 for _ in read_event_log(folder.event_log))
    log = folder.root / "worker.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "brightrun.worker", "run", str(folder.root)],
            stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, env=dict(os.environ),
        )  # fmt: skip
    try:
        last = _follow(process, folder.event_log, seen)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        problems.print("Stopped. The same command goes on where it was.", highlight=False)
        raise
    finally:
        if process.poll() is None:  # whatever went wrong here, no worker is left running unwatched
            process.terminate()
            process.wait()
    return _judge(last, process.returncode, log)


def _judge(last: Event | None, status: int, log: Path) -> Event:
    if status == 0 and last is not None and last.status is JobStatus.COMPLETED:
        return last
    if last is None or last.kind != "end":
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise RunFailed(
            f"The worker ended {how} without a word in the journal.",
            hint=f"Run the same command again to go on; {log} has what it printed.",
        )
    error = RunFailed(
        last.message or "The run failed.",
        hint=str(last.data.get("hint", "")),
        details=dict(last.data.get("details", {})),
    )
    error.details["reason"] = last.reason.value if last.reason else None
    raise error


def _follow(process: subprocess.Popen[bytes], event_log: Path, seen: int) -> Event | None:
    bar = BarColumn(bar_width=8 if problems.width < 110 else 24)
    columns = (TextColumn("[bold]{task.description}"), bar, TextColumn("{task.fields[facts]}"))
    last: Event | None = None
    with Progress(*columns, console=problems) as progress:
        teller = _Teller(progress)
        while True:
            ended = process.poll() is not None
            for event in read_event_log(event_log, after=seen):
                seen, last = event.sequence, event
                teller.tell(event)
            if ended:
                return last
            time.sleep(_LOOK_SECONDS)


class _Teller:
    """Turns events into lines and bars."""

    _TITLES: ClassVar = {
        JobStatus.PREPROCESSING: "Checking",
        JobStatus.MODEL_LOADED: "Base answers",
        JobStatus.TRAINING: "Training",
        JobStatus.EVALUATING: "Tuned answers",
        JobStatus.UPLOADING: "Writing",
    }

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._validation = ""

    def tell(self, event: Event) -> None:
        if event.kind == "status":
            self._next_stage(event)
        elif event.kind == "step":
            self._step(event)
        elif event.kind == "sample" and self._task is not None:
            done, total = event.data["done"], event.data["total"]
            self._progress.update(self._task, completed=done, total=total, facts=f"{done} of {total} held-out prompts")
        elif event.kind == "evaluation":
            self._evaluation(event)
        elif event.kind == "message" and "resumed_step" in event.data:
            self._progress.console.print(f"  {event.message}", highlight=False)

    def _next_stage(self, event: Event) -> None:
        self._finish_stage()
        title = self._TITLES.get(event.status, event.status.value)
        self._task = self._progress.add_task(f"{title:<13}", total=event.total_steps, facts="")

    def _finish_stage(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[-1].total
            self._progress.update(self._task, total=total or 1, completed=total or 1)

    def _step(self, event: Event) -> None:
        if self._task is None:
            return
        facts = (
            f"{event.step}/{event.total_steps}  loss {_shown(event.data['loss'], 3)}{self._validation}  "
            f"lr {event.data['learning_rate']:.0e}  {event.data['tokens_per_second']:.0f} tok/s  "
            f"{duration(event.data['seconds_left'])} left"
        )
        self._progress.update(self._task, total=event.total_steps, completed=event.step, facts=facts)

    def _evaluation(self, event: Event) -> None:
        loss = event.data["loss"]
        if event.data["phase"] == "during":
            self._validation = f" (held out {_shown(loss, 3)})"
            return
        words = "untouched base" if event.data["phase"] == "baseline" else "tuned model"
        self._progress.console.print(f"  Held-out loss of the {words}: {_shown(loss, 4)}", highlight=False)


def _shown(loss: float | None, digits: int) -> str:
    """A loss that is no number stands in the journal as null."""
    return "not a number" if loss is None else f"{loss:.{digits}f}"
