"""What an attempt really took, out of its event log: time by phase, memory, speed, device, versions. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.event_data import MessageData, StepData
from brightrun.contract.job_event import JobEvent
from brightrun.contract.states import JobStatus


class Actuals(BaseModel):
    """Measured, not estimated. What the event log does not tell is absent, never zero."""

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


def measure(lines: Iterable[JobEvent], *, launched_at: datetime | None = None) -> Actuals | None:
    """Read one attempt's event log, in order and once; None where it has no line.

    Time belongs to the status that a line was written in, until the next line. The time from the launch to the first
    line is `provisioning`; two machines' clocks meet there, so it is never below zero.
    """
    tally = _Tally()
    previous: JobEvent | None = None
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
        self.opening = MessageData()  # what the lines that open a run say of the machine, the newest of each

    def spend(self, status: JobStatus, seconds: float) -> None:
        self.seconds[status.value] = self.seconds.get(status.value, 0.0) + max(seconds, 0.0)

    def take(self, line: JobEvent) -> None:
        if isinstance(line.data, StepData | MessageData) and line.data.memory_bytes is not None:
            self.peak = max(self.peak or 0, line.data.memory_bytes)
        if isinstance(line.data, StepData):
            self._take_step(line.data)
        elif isinstance(line.data, MessageData):
            self.opening = line.data.model_copy(update={**_known(self.opening), **_known(line.data)})

    def _take_step(self, data: StepData) -> None:
        self.steps += 1
        if data.tokens and data.tokens_per_second:
            self.tokens += data.tokens
            self.step_seconds += data.tokens / data.tokens_per_second

    def actuals(self, last: JobEvent) -> Actuals:
        known = self.step_seconds > 0
        return Actuals(
            seconds_by_phase=self.seconds,
            peak_memory_bytes=self.peak,
            tokens_per_second=self.tokens / self.step_seconds if known else None,
            steps=self.steps,
            tokens=self.tokens if known else None,
            resumed_step=self.opening.resumed_step,
            completed=last.kind == "end" and last.status is JobStatus.COMPLETED,
            device=self.opening.device,
            quantization=self.opening.quantization,
            versions=self.opening.packages or {},
        )


def _known(data: MessageData) -> dict[str, Any]:
    return {name: value for name, value in data if value is not None}
