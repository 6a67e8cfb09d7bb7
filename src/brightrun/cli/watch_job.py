"""Shows a studio's job live on the terminal, from its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from brightrun.cli.follow_job import Update
from brightrun.cli.show import Part, Screen, styled
from brightrun.contract.describe_event import describe, step_figures
from brightrun.contract.event_data import EvaluationData, MessageData, SampleData, StepData
from brightrun.contract.job_event import JobEvent
from brightrun.contract.states import JobStatus
from brightrun.format import loss_text

BUDGET_WARNING = "budget_warning"
Line = tuple[Part, ...]


def watch(job: dict[str, Any], updates: Iterable[Update], console: Screen) -> dict[str, Any]:
    """Show what happens until the job has ended; the job as it is then."""
    view = JobScreen(job)
    with Live(view, console=console, refresh_per_second=8, transient=True):
        for each in updates:
            for line in view.take(each):
                console.show_line(*line)
    return view.job


class JobScreen:
    """What is known of a job, as it stands on the screen; `take` returns the lines that stay above it."""

    _TITLES: ClassVar = {
        JobStatus.QUEUED: "Waiting",
        JobStatus.PROVISIONING: "Machine",
        JobStatus.PREPROCESSING: "Checking",
        JobStatus.MODEL_LOADED: "Base answers",
        JobStatus.TRAINING: "Training",
        JobStatus.EVALUATING: "Tuned answers",
        JobStatus.UPLOADING: "Downloading",
    }

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self._status = JobStatus(job["status"])
        self._done: int | None = job.get("current_step")
        self._total: int | None = job.get("total_steps")
        self._step: StepData | None = None
        self._validation: float | None = None
        self._connected = True

    def take(self, updates: Update) -> list[Line]:
        if updates.kind in {"lost", "found"}:
            self._connected = updates.kind == "found"
            lost = ("The studio does not answer; waiting for it.", "yellow")
            return [("It is back.",) if self._connected else (lost,)]
        if updates.kind == "job":
            self.job = updates.data
            self._status = JobStatus(updates.data["status"])
            return []
        event = JobEvent.of_json(updates.data)
        self._total = event.total_steps or self._total
        return self._moved(event) + self._told(event)

    def _told(self, event: JobEvent) -> list[Line]:
        match event.data:
            case StepData() as data:
                self._done, self._step = event.step, data
            case SampleData() as data:
                self._done, self._total = data.done, data.total
            case EvaluationData(phase="during") as data:
                self._validation = data.loss
            case EvaluationData():
                return [("  ", describe(event))]
            case MessageData() as data if event.message or data.unknown_fields:
                return [("  ", (describe(event), "yellow" if data.code == BUDGET_WARNING else ""))]
            case data if data.kind is None:  # of a newer worker
                return [("  ", describe(event))]
            case _:
                pass
        return []

    def _moved(self, event: JobEvent) -> list[Line]:
        if event.status is self._status or event.kind != "status":  # other lines come later than what they tell of
            return []
        self._status, self._done, self._step = event.status, None, None
        said = f"  {event.message}" if event.message else ""
        return [((self._title(), "bold"), said)]

    def _title(self) -> str:
        return self._TITLES.get(self._status, self._status.value.capitalize())

    def __rich__(self) -> RenderableType:
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self._total or 1, completed=self._done or 0, width=30, pulse=self._done is None)
        count = "" if self._done is None else f"{self._done}/{self._total or '?'}"
        line.add_row(styled((self._title(), "bold")), bar, count, self._facts())
        head = styled((f"{self.job['name']}  ", "bold"), (self.job["id"], "dim"))
        return Group(head, line)

    def _facts(self) -> str:
        if not self._connected:
            return "waiting for the studio"
        if self._step is None:
            return ""
        figures = step_figures(self._step, brief=True)
        figures[1:1] = [] if self._validation is None else [f"validation {loss_text(self._validation)}"]
        return "  ".join(figures)
