"""Shows a studio's job live on the terminal, from its events. Knows nothing of how they come here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from brightrun.cli.follow_job import Update
from brightrun.cli.show import duration
from brightrun.contract.states import JobStatus

BUDGET_WARNING = "budget_warning"


def watch(job: dict[str, Any], updates: Iterable[Update], console: Console) -> dict[str, Any]:
    """Show what happens until the job has ended; the job as it is then."""
    view = JobScreen(job)
    with Live(view, console=console, refresh_per_second=8, transient=True) as live:
        for each in updates:
            for line in view.take(each):
                live.console.print(line, highlight=False, soft_wrap=True)
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
        JobStatus.UPLOADING: "Bringing home",
    }

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self._status = JobStatus(job["status"])
        self._done: int | None = job.get("current_step")
        self._total: int | None = job.get("total_steps")
        self._step: dict[str, Any] = {}
        self._validation: float | None = None
        self._connected = True

    def take(self, updates: Update) -> list[str]:
        if updates.kind in {"lost", "found"}:
            self._connected = updates.kind == "found"
            return [
                "[yellow]The studio does not answer; waiting for it.[/]" if updates.kind == "lost" else "It is back."
            ]
        if updates.kind == "job":
            self.job = updates.data
            self._status = JobStatus(updates.data["status"])
            return []
        event = updates.data
        self._total = event.get("total_steps") or self._total
        lines = self._moved(event)
        if updates.kind == "step":
            self._done, self._step = event["step"], event["data"]
        elif updates.kind == "sample":
            self._done, self._total = event["data"]["done"], event["data"]["total"]
        elif updates.kind == "evaluation":
            lines += self._evaluated(event["data"])
        elif updates.kind == "message" and event.get("message"):
            is_warning = event["data"].get("code") == BUDGET_WARNING
            lines.append(f"  [yellow]{escape(event['message'])}[/]" if is_warning else f"  {escape(event['message'])}")
        return lines

    def _moved(self, event: dict[str, Any]) -> list[str]:
        status = JobStatus(event["status"])
        if status is self._status or event["kind"] != "status":  # other lines come later than what they tell of
            return []
        self._status, self._done, self._step = status, None, {}
        said = f"  {escape(event['message'])}" if event.get("message") else ""
        return [f"[bold]{self._title()}[/]{said}"]

    def _evaluated(self, data: dict[str, Any]) -> list[str]:
        if data.get("phase") == "during":
            self._validation = data.get("loss")
            return []
        words = "untouched base" if data.get("phase") == "baseline" else "tuned model"
        return [f"  Held-out loss of the {words}: {number(data.get('loss'), 4)}"]

    def _title(self) -> str:
        return self._TITLES.get(self._status, self._status.value.capitalize())

    def __rich__(self) -> RenderableType:
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self._total or 1, completed=self._done or 0, width=30, pulse=self._done is None)
        count = "" if self._done is None else f"{self._done}/{self._total or '?'}"
        line.add_row(Text(self._title(), style="bold"), bar, count, self._facts())
        head = Text(f"{self.job['name']}  ", style="bold") + Text(self.job["id"], style="dim")
        return Group(head, line)

    def _facts(self) -> str:
        if not self._connected:
            return "waiting for the studio"
        if not self._step:
            return ""
        validation = "" if self._validation is None else f" (held out {number(self._validation, 3)})"
        facts = [f"loss {number(self._step.get('loss'), 3)}{validation}"]
        if (rate := self._step.get("learning_rate")) is not None:
            facts.append(f"lr {rate:.0e}")
        if (speed := self._step.get("tokens_per_second")) is not None:
            facts.append(f"{speed:.0f} tok/s")
        if (left := self._step.get("seconds_left")) is not None:
            facts.append(f"{duration(left)} left")
        return "  ".join(facts)


def number(value: float | None, digits: int) -> str:
    """A figure, or that it is not known."""
    return "unknown" if value is None else f"{value:.{digits}f}"
