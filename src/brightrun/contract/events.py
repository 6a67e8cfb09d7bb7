"""The journal's lines: one event each, numbered, append-only. The studio and the terminal both read these."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import ContractError

EventKind = Literal["status", "message", "step", "evaluation", "checkpoint", "sample", "artifact", "end"]


class Event(BaseModel):
    """One line of a journal.

    `data` by kind (unknown values are absent, never zero):
        status: device, versions and the like.
        step: loss (nats per learnt token), learning_rate, grad_norm, tokens_per_second, trained_tokens, epoch,
            memory_bytes, seconds_left.
        evaluation: loss, answers, trained_tokens, phase ("baseline", "during", "final").
        checkpoint: path, bytes. sample: done, total, phase. artifact: name, bytes, sha256.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    sequence: int = Field(ge=1, description="Number of the line, from 1, without gaps.")
    attempt: int = Field(ge=1, description="Which process of this run wrote it.")
    timestamp: datetime
    kind: EventKind
    status: JobStatus
    step: int | None = None
    total_steps: int | None = None
    message: str | None = None
    reason: EndReason | None = None
    data: dict[str, Any] = Field(default_factory=dict)


def read_event_log(path: Path, *, after: int = 0) -> Iterator[Event]:
    """The journal's events numbered above `after`; a half-written last line is left for later.

    Raises:
        ContractError: a line that is whole but not an event.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            if number <= after:
                continue
            try:
                yield Event.model_validate_json(line)
            except ValidationError as error:
                raise ContractError(f"{path.name} line {number} is not an event.") from error
