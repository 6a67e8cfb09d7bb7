"""A job's events in the words of its page, and which of them are shown. Knows no other page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import events
from brightrun.database.tables import TrainingEvent
from brightrun.format import bytes_text, duration_text, loss_text, number_text
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.web.pages.format import STATUS_TEXTS

Show = Literal["important", "progress", "all"]
SHOWN: dict[Show, str] = {"important": "What matters", "progress": "Steps and measurements", "all": "Everything"}
_PROGRESS = ("step", "evaluation", "sample", "checkpoint")
_CHATTER = ("step", "sample", "artifact")
LINES = 200
_SEARCHED = 2000
_PHASES = {"baseline": "of the untouched base", "during": "so far", "final": "of the tuned model"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """An event as people read it."""

    id: int
    at: datetime
    text: str
    tone: Literal["", "bad", "good", "warn"]
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
    return LogLine(row.id, row.happened_at, event_text(row), _tone(row), row.attempt, row.step)


def event_text(row: TrainingEvent) -> str:
    """What happened, in a sentence or less."""
    data = row.data or {}
    if (words := _WORDS.get(row.kind)) is not None:
        return words(row, data)
    if row.kind == "end" and row.status is JobStatus.COMPLETED:
        return "The worker has delivered; the studio fetches, compares and stores it."  # its sentence is told then
    if row.message:
        return row.message
    return STATUS_TEXTS[row.status] if row.kind in {"status", "end"} else row.kind


def _evaluation_text(_: TrainingEvent, data: dict[str, Any]) -> str:
    which = _PHASES.get(str(data.get("phase")), "")
    return f"Held-out loss {which}: {_loss(data.get('loss'))}{_counted_answers(data)}"


def _checkpoint_text(row: TrainingEvent, _: dict[str, Any]) -> str:
    return "Checkpoint" if row.step is None else f"Checkpoint at step {row.step:,}"


def _sample_text(_: TrainingEvent, data: dict[str, Any]) -> str:
    return f"Answered held-out prompt {data.get('done', '?')} of {data.get('total', '?')}"


def _artifact_text(_: TrainingEvent, data: dict[str, Any]) -> str:
    size = data.get("bytes")
    return f"Wrote {data.get('name', 'a file')}" + (f" ({bytes_text(size)})" if isinstance(size, int) else "")


def _step_text(row: TrainingEvent, data: dict[str, Any]) -> str:
    total = "" if row.total_steps is None else f" of {row.total_steps:,}"
    facts = [f"Step {row.step:,}{total}" if row.step is not None else "A step", f"loss {_loss(data.get('loss'))}"]
    for name, words in (("learning_rate", "learning rate"), ("grad_norm", "gradient norm")):
        if isinstance(data.get(name), int | float):
            facts.append(f"{words} {number_text(float(data[name]))}")
    if isinstance(data.get("tokens_per_second"), int | float):
        facts.append(f"{data['tokens_per_second']:,.0f} tokens/s")
    if isinstance(data.get("seconds_left"), int | float):
        facts.append(f"{duration_text(data['seconds_left'])} left")
    return ", ".join(facts)


def _counted_answers(data: dict[str, Any]) -> str:
    answers = data.get("answers")
    return f" on {answers:,} answers" if isinstance(answers, int) else ""


def _loss(value: object) -> str:
    return loss_text(float(value)) if isinstance(value, int | float) else "not known"


_WORDS: dict[str, Callable[[TrainingEvent, dict[str, Any]], str]] = {
    "step": _step_text,
    "evaluation": _evaluation_text,
    "checkpoint": _checkpoint_text,
    "sample": _sample_text,
    "artifact": _artifact_text,
}


def _tone(row: TrainingEvent) -> Literal["", "bad", "good", "warn"]:
    told = "code" in (row.data or {})  # the studio's own warnings and failures
    if told or row.reason is EndReason.CANCELLED_BY_USER:
        return "warn"
    if row.kind not in {"status", "end"} or (row.kind == "end" and row.status is JobStatus.COMPLETED):
        return ""
    tones: dict[JobStatus, Literal["bad", "good"]] = {JobStatus.FAILED: "bad", JobStatus.COMPLETED: "good"}
    return tones.get(row.status, "warn" if row.reason is not None else "")
