"""Reads a growing event log from any line, without reading again what lies before it. Numbers lines for an attempt."""

from __future__ import annotations

import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brightrun.contract.events import Event, parse_event
from brightrun.errors import ContractError

_STRIDE = 256


class Span(BaseModel):
    """Which of the file's lines belong to which of the studio's attempts: those numbered above `begins_after`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempt: int = Field(ge=1)
    begins_after: int = Field(ge=0)

    def told(self, event: Event) -> Event:
        """The event as messages number it: from 1 in its attempt."""
        return event.model_copy(update={"sequence": event.sequence - self.begins_after, "attempt": self.attempt})


class EventLogReader:
    """Whole lines of `events.jsonl`; a half-written last one is left for later. Safe to share among threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._forget()

    def count(self) -> int:
        """Number of the newest whole line; 0 where there is none."""
        with self._lock:
            self._advance()
            return self._lines

    def last(self) -> Event | None:
        newest = self.count()
        events = self.read(after=newest - 1, limit=1) if newest else []
        return events[0] if events else None

    def read(self, *, after: int, limit: int) -> list[Event]:
        """At most `limit` events numbered above `after`, as the file numbers them.

        Raises:
            ContractError: a line that is whole but not an event.
        """
        with self._lock:
            self._advance()
            until = min(after + limit, self._lines)
            if until <= after:
                return []
            with self._path.open("rb") as stream:
                stream.seek(self._offsets[after // _STRIDE])
                for _ in range(after % _STRIDE):
                    stream.readline()
                lines = [stream.readline() for _ in range(until - after)]
        return [self._event(number, line) for number, line in enumerate(lines, start=after + 1)]

    def _event(self, number: int, line: bytes) -> Event:
        try:
            return parse_event(line)
        except ValidationError as error:
            raise ContractError(f"{self._path.name} line {number} is not an event.") from error

    def _forget(self) -> None:
        self._lines, self._end = 0, 0
        self._offsets = [0]

    def _advance(self) -> None:
        """Take note of the lines written since the last look."""
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            self._forget()
            return
        with stream:
            if stream.seek(0, 2) < self._end:  # another file in its place
                self._forget()
            stream.seek(self._end)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self._lines += 1
                self._end += len(line)
                if self._lines % _STRIDE == 0:
                    self._offsets.append(self._end)
