"""A job's events in the words of its page, and which of them are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from brightrun.contract.describe_event import Tone, describe, tone_of
from brightrun.database import events
from brightrun.database.tables import TrainingEvent
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio

Show = Literal["important", "progress", "all"]
SHOWN: dict[Show, str] = {"important": "Key events", "progress": "Steps and measurements", "all": "Everything"}
_PROGRESS = ("step", "evaluation", "sample", "checkpoint")
_CHATTER = ("step", "sample", "artifact")
LINES = 200
_SEARCHED = 2000


@dataclass(frozen=True, slots=True)
class LogLine:
    """An event as people read it."""

    id: int
    at: datetime
    text: str
    tone: Tone
    attempt: int | None
    step: int | None


def read_log(studio: Studio, owner_id: str, job_id: str, *, show: Show, find: str) -> list[LogLine]:
    """The newest lines, newest first.

    Args:
        find: Only lines with these words, letter case aside; looked for among the newest 2,000.

    Raises:
        NotFound: the owner has no such job.
    """
    words = find.strip().casefold()
    with studio.database.reading() as session:
        owned(session, owner_id, job_id)
        rows = events.list_latest(
            session,
            job_id,
            limit=_SEARCHED if words else LINES,
            kinds=_PROGRESS if show == "progress" else None,
            without=_CHATTER if show == "important" else (),
        )
    lines = (_line(row) for row in reversed(rows))
    return [line for line in lines if words in line.text.casefold()][:LINES]


def _line(row: TrainingEvent) -> LogLine:
    event = row.event
    return LogLine(row.id, row.happened_at, describe(event), tone_of(event), row.attempt, row.step)
