"""Runs a worker process on a run's folder and shows its event log live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

from rich.progress import BarColumn, Progress, TaskID

from brightrun.cli.show import PlainColumn, problems, styled
from brightrun.contract.describe_event import describe, step_figures
from brightrun.contract.events import (
    EndEvent,
    EvaluationEvent,
    Event,
    MessageEvent,
    OtherEvent,
    SampleEvent,
    StatusEvent,
    StepEvent,
    read_event_log,
)
from brightrun.contract.job_event import JobEvent
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.errors import BrightRunError, MissingDependency
from brightrun.format import loss_text

_LOOK_SECONDS = 0.2


class RunFailed(BrightRunError):
    """The worker's own last words."""

    code = "run_failed"


def run_and_watch(folder: RunFolder) -> Event:
    """Start the worker, show what it tells, and return its last event.

    Raises:
        RunFailed: the run ended otherwise than completed; its message and hint are the event log's.
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
        problems.show_line("Stopped. Run the same command to continue.")
        raise
    finally:
        if process.poll() is None:  # whatever went wrong here, no worker is left running unwatched
            process.terminate()
            process.wait()
    return _judge(last, process.returncode, log)


def _judge(last: Event | None, status: int, log: Path) -> Event:
    if status == 0 and last is not None and last.status is JobStatus.COMPLETED:
        return last
    if not isinstance(last, EndEvent):
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise RunFailed(
            f"The worker ended {how} without a word in the event log.",
            hint=f"Run the same command again to go on; {log} has what it printed.",
        )
    end = last.data
    error = RunFailed(last.message or "The run failed.", hint=end.hint or "", details=dict(end.details or {}))
    error.details["reason"] = last.reason.value if last.reason else None
    raise error


def _follow(process: subprocess.Popen[bytes], event_log: Path, seen: int) -> Event | None:
    bar = BarColumn(bar_width=8 if problems.width < 110 else 24)
    columns = (PlainColumn("{task.description}", "bold"), bar, PlainColumn("{task.fields[facts]}"))
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
        match event:
            case StatusEvent():
                self._next_stage(event)
            case StepEvent():
                self._step(event)
            case SampleEvent() if self._task is not None:
                facts = describe(JobEvent.of(event))
                self._progress.update(self._task, completed=event.data.done, total=event.data.total, facts=facts)
            case EvaluationEvent(data=data) if data.phase == "during":
                self._validation = f"validation {loss_text(data.loss)}" if data.loss is not None else ""
            case EvaluationEvent() | OtherEvent():
                self._print(event)
            case MessageEvent(data=data) if data.resumed_step is not None:
                self._print(event)
            case _:
                pass

    def _print(self, event: Event) -> None:
        self._progress.console.print(styled(f"  {describe(JobEvent.of(event))}"), soft_wrap=True)

    def _next_stage(self, event: Event) -> None:
        self._finish_stage()
        title = self._TITLES.get(event.status, event.status.value)
        self._task = self._progress.add_task(f"{title:<13}", total=event.total_steps, facts="")

    def _finish_stage(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[-1].total
            self._progress.update(self._task, total=total or 1, completed=total or 1)

    def _step(self, event: StepEvent) -> None:
        if self._task is None:
            return
        figures = step_figures(event.data, brief=True)
        figures[1:1] = [self._validation] if self._validation else []
        facts = "  ".join([f"{event.step}/{event.total_steps}", *figures])
        self._progress.update(self._task, total=event.total_steps, completed=event.step, facts=facts)
