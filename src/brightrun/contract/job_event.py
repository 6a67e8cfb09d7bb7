"""Something that happened to a job, whoever told it: a line of its worker's event log, or what the studio did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from brightrun.contract.event_data import EventData, read_data
from brightrun.contract.events import Event
from brightrun.contract.states import EndReason, JobStatus


class JobEvent(NamedTuple):
    """An event without its number, which only lines of an event log have."""

    at: datetime
    kind: str
    status: JobStatus
    data: EventData
    step: int | None = None
    total_steps: int | None = None
    message: str | None = None
    reason: EndReason | None = None

    @classmethod
    def of(cls, event: Event) -> JobEvent:
        return cls(
            event.timestamp, event.kind, event.status, event.data, event.step, event.total_steps, event.message,
            event.reason,
        )  # fmt: skip

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> JobEvent:
        """An event as the API shows it."""
        reason = values.get("reason")
        return cls(
            datetime.fromisoformat(values["happened_at"]), values["kind"], JobStatus(values["status"]),
            read_data(values["kind"], values.get("data") or {}), values.get("step"), values.get("total_steps"),
            values.get("message"), None if reason is None else EndReason(reason),
        )  # fmt: skip
