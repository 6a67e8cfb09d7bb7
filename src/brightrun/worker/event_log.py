"""Writes a run's event log: numbered events, append-only, whole lines or none."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from brightrun.contract.event_data import EndData, EventData, EventKind, MessageData, StatusData
from brightrun.contract.events import event_of, read_event_log
from brightrun.contract.states import EndReason, JobStatus

_SYNCED_KINDS: frozenset[EventKind] = frozenset({"status", "checkpoint", "artifact", "end"})


class EventLog:
    """Appends events to `events.jsonl`; a new Event log on an old file is the next attempt of the same run.

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

    def enter(self, status: JobStatus, message: str) -> None:
        """The run goes into another state."""
        self.status = status
        self.write(StatusData(), message=message)

    def say(self, message: str, data: MessageData | None = None) -> None:
        self.write(data or MessageData(), message=message)

    def end(
        self, status: JobStatus, message: str, data: EndData | None = None, *, reason: EndReason | None = None
    ) -> None:
        """The last line of this attempt."""
        self.status = status
        self.write(data or EndData(), message=message, reason=reason)

    def write(
        self,
        data: EventData,
        *,
        step: int | None = None,
        message: str | None = None,
        reason: EndReason | None = None,
    ) -> None:
        """Append the event that carries these data, of the kind that they are."""
        event = event_of(
            data,
            sequence=self._sequence + 1,
            attempt=self.attempt,
            timestamp=datetime.now(UTC),
            status=self.status,
            step=step,
            total_steps=self.total_steps,
            message=message,
            reason=reason,
        )
        line = json.dumps(event.model_dump(mode="json", exclude_none=True), ensure_ascii=False, allow_nan=False)
        self._sequence = event.sequence  # only now: an event that is no JSON must leave no gap
        self._stream.write(line.encode("utf-8") + b"\n")
        self._stream.flush()
        if data.kind in _SYNCED_KINDS:
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


def _drop_half_line(path: Path) -> None:
    """A process that was killed while writing leaves half a line; it was never part of the event log."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as stream:
            stream.truncate(whole)
