"""Writes a run's journal: numbered events, append-only, whole lines or none. Knows nothing of who reads it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brightrun.contract.events import Event, EventKind, read_event_log
from brightrun.contract.states import EndReason, JobStatus

_SYNCED_KINDS: frozenset[EventKind] = frozenset({"status", "checkpoint", "artifact", "end"})


class EventLog:
    """Appends events to `events.jsonl`; a new Journal on an old file is the next attempt of the same run.

    A studio counts attempts by machines and says which one this is; numbers of lines go on over all of them.
    """

    def __init__(self, path: Path, *, attempt: int | None = None) -> None:
        _drop_half_line(path)
        past = list(read_event_log(path))
        self.path = path
        following = past[-1].attempt + 1 if past else 1
        self.attempt = following if attempt is None else attempt
        self.status = past[-1].status if past else JobStatus.QUEUED
        self.total_steps: int | None = None
        self._sequence = past[-1].sequence if past else 0
        self._stream = path.open("ab")

    def enter(self, status: JobStatus, message: str, **data: Any) -> None:
        """The run goes into another state."""
        self.status = status
        self.write("status", message=message, data=data)

    def say(self, message: str, **data: Any) -> None:
        self.write("message", message=message, data=data)

    def end(self, status: JobStatus, message: str, *, reason: EndReason | None = None, **data: Any) -> None:
        """The last line of this attempt."""
        self.status = status
        self.write("end", message=message, reason=reason, data=data)

    def write(
        self,
        kind: EventKind,
        *,
        step: int | None = None,
        message: str | None = None,
        reason: EndReason | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        event = Event(
            sequence=self._sequence + 1,
            attempt=self.attempt,
            timestamp=datetime.now(UTC),
            kind=kind,
            status=self.status,
            step=step,
            total_steps=self.total_steps,
            message=message,
            reason=reason,
            data=data or {},
        )
        line = json.dumps(event.model_dump(mode="json", exclude_none=True), ensure_ascii=False, allow_nan=False)
        self._sequence = event.sequence  # only now: an event that is no JSON must leave no gap
        self._stream.write(line.encode("utf-8") + b"\n")
        self._stream.flush()
        if kind in _SYNCED_KINDS:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


def _drop_half_line(path: Path) -> None:
    """A process that was killed while writing leaves half a line; it was never part of the journal."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as stream:
            stream.truncate(whole)
