"""What an attempt really took, out of its journal: time by phase, memory, speed, device, versions. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.events import Event
from brightrun.contract.states import JobStatus


class Actuals(BaseModel):
    """Measured, not estimated. What the journal does not tell is absent, never zero."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    seconds_by_phase: dict[str, float] = Field(description="Wall seconds in each status, provisioning included.")
    peak_memory_bytes: int | None = Field(
        description="Allocator's peak on CUDA, resident size of the process on a CPU."
    )
    tokens_per_second: float | None = Field(description="All tokens of the steps by the time of the steps alone.")
    steps: int = Field(description="Steps this attempt made itself.")
    tokens: int | None = Field(description="Tokens of those steps.")
    resumed_step: int | None = Field(None, description="The step it went on after.")
    completed: bool
    device: str | None
    quantization: str | None
    versions: dict[str, str]


class TimedEvent(NamedTuple):
    """What is read of a journal's line."""

    at: datetime
    kind: str
    status: JobStatus
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> TimedEvent:
        return cls(event.timestamp, event.kind, event.status, event.data)


def measure(lines: Iterable[TimedEvent], *, launched_at: datetime | None = None) -> Actuals | None:
    """Read one attempt's journal, in order and once; None where it has no line.

    Time belongs to the status that a line was written in, until the next line. The time from the launch to the first
    line is `provisioning`; two machines' clocks meet there, so it is never below zero.
    """
    tally = _Tally()
    previous: TimedEvent | None = None
    for line in lines:
        if previous is not None:
            tally.spend(previous.status, (line.at - previous.at).total_seconds())
        elif launched_at is not None:
            tally.spend(JobStatus.PROVISIONING, (line.at - launched_at).total_seconds())
        tally.take(line)
        previous = line
    return None if previous is None else tally.actuals(previous)


class _Tally:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.steps = self.tokens = 0
        self.step_seconds = 0.0
        self.peak: int | None = None
        self.facts: dict[str, Any] = {}

    def spend(self, status: JobStatus, seconds: float) -> None:
        self.seconds[status.value] = self.seconds.get(status.value, 0.0) + max(seconds, 0.0)

    def take(self, line: TimedEvent) -> None:
        data = line.data
        if (memory := data.get("memory_bytes")) is not None:
            self.peak = max(self.peak or 0, int(memory))
        if line.kind != "step":
            self.facts |= {
                key: data[key] for key in ("device", "quantization", "packages", "resumed_step") if key in data
            }
            return
        self.steps += 1
        tokens, speed = data.get("tokens"), data.get("tokens_per_second")
        if tokens and speed:
            self.tokens += int(tokens)
            self.step_seconds += tokens / speed

    def actuals(self, last: TimedEvent) -> Actuals:
        known = self.step_seconds > 0
        return Actuals(
            seconds_by_phase=self.seconds,
            peak_memory_bytes=self.peak,
            tokens_per_second=self.tokens / self.step_seconds if known else None,
            steps=self.steps,
            tokens=self.tokens if known else None,
            resumed_step=self.facts.get("resumed_step"),
            completed=last.kind == "end" and last.status is JobStatus.COMPLETED,
            device=self.facts.get("device"),
            quantization=self.facts.get("quantization"),
            versions=self.facts.get("packages") or {},
        )
