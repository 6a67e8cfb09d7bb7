"""A job's events as rows: stored once, however often and in whatever order they arrive; read on from an id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from brightrun.contract.event_data import EventData
from brightrun.contract.events import Event
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database.inserts import insert_into
from brightrun.database.tables import TrainingEvent, TrainingJob
from brightrun.errors import NotFound

_READ_AT_ONCE = 1000


def append_batch(session: Session, *, job_id: str, attempt: int, events: Sequence[Event], recorded_at: datetime) -> int:
    """Store an attempt's event log lines; how many were not stored before.

    Raises:
        NotFound: there is no such job.
    """
    if not events:
        return 0
    _in_turn(session, job_id)
    rows = [_row(job_id, attempt, event, recorded_at) for event in sorted(events, key=lambda event: event.sequence)]
    statement = insert_into(session, TrainingEvent).on_conflict_do_nothing(
        index_elements=["job_id", "attempt", "sequence"]
    )
    return len(session.execute(statement.returning(TrainingEvent.id), rows).all())


def append_own(
    session: Session,
    *,
    job_id: str,
    data: EventData,
    status: JobStatus,
    happened_at: datetime,
    attempt: int | None = None,
    message: str | None = None,
    reason: EndReason | None = None,
) -> TrainingEvent:
    """Store something the studio itself did, of the kind that its data are.

    Raises:
        NotFound: there is no such job.
    """
    assert data.kind is not None, "the studio knows the kinds of its own events"
    _in_turn(session, job_id)
    event = TrainingEvent(
        job_id=job_id,
        attempt=attempt,
        kind=data.kind,
        status=status,
        message=message,
        reason=reason,
        data=data.known(),
        happened_at=happened_at,
        recorded_at=happened_at,
    )
    session.add(event)
    session.flush()
    return event


def list_after(session: Session, job_id: str, *, after: int = 0, limit: int = 500) -> list[TrainingEvent]:
    """A job's events with ids above `after`, in order of id. None appears later below an id that was seen."""
    query = select(TrainingEvent).where(TrainingEvent.job_id == job_id, TrainingEvent.id > after)
    return list(session.scalars(query.order_by(TrainingEvent.id).limit(limit)))


def list_latest(
    session: Session,
    job_id: str,
    *,
    limit: int = 100,
    kinds: Collection[str] | None = None,
    without: Collection[str] = (),
) -> list[TrainingEvent]:
    """A job's newest events, in order of id.

    Args:
        kinds: Only these.
        without: Not these.
    """
    query = select(TrainingEvent).where(TrainingEvent.job_id == job_id)
    if kinds is not None:
        query = query.where(TrainingEvent.kind.in_(list(kinds)))
    if without:
        query = query.where(TrainingEvent.kind.not_in(list(without)))
    return list(session.scalars(query.order_by(TrainingEvent.id.desc()).limit(limit)))[::-1]


def last_stage(session: Session, job_id: str) -> JobStatus | None:
    """The last status that a job had before it ended, or has; None where nothing is known."""
    query = select(TrainingEvent.status).where(TrainingEvent.job_id == job_id)
    under_way = TrainingEvent.status.in_([status for status in JobStatus if not status.is_terminal])
    return session.scalar(query.where(under_way).order_by(TrainingEvent.id.desc()).limit(1))


def event_log(session: Session, job_id: str, attempt: int) -> Iterator[TrainingEvent]:
    """An attempt's lines in their order, read in pieces: a long run has a million."""
    query = select(TrainingEvent).where(TrainingEvent.job_id == job_id, TrainingEvent.attempt == attempt)
    numbered = query.where(TrainingEvent.sequence.is_not(None)).order_by(TrainingEvent.sequence)
    yield from session.scalars(numbered.execution_options(yield_per=_READ_AT_ONCE))


def highest(session: Session, job_id: str, attempt: int) -> TrainingEvent | None:
    """The event of an attempt's event log with the highest number among those that are here; None: none is."""
    query = select(TrainingEvent).where(TrainingEvent.job_id == job_id, TrainingEvent.attempt == attempt)
    numbered = query.where(TrainingEvent.sequence.is_not(None)).order_by(TrainingEvent.sequence.desc())
    return session.scalars(numbered.limit(1)).first()


def acknowledged(session: Session, job_id: str, attempt: int, *, above: int = 0) -> int:
    """Highest sequence of an attempt stored with none missing between it and `above`, which is known to be so."""
    query = select(TrainingEvent.sequence).where(TrainingEvent.job_id == job_id, TrainingEvent.attempt == attempt)
    query = query.order_by(TrainingEvent.sequence).limit(_READ_AT_ONCE)
    while True:
        next_ones = session.scalars(query.where(TrainingEvent.sequence > above)).all()
        for sequence in next_ones:
            if sequence != above + 1:
                return above
            above = sequence
        if len(next_ones) < _READ_AT_ONCE:
            return above


def _in_turn(session: Session, job_id: str) -> None:
    """Wait for whoever writes events of this job: ids must become visible in their order, or a reader skips one."""
    turn = select(TrainingJob.id).where(TrainingJob.id == job_id).with_for_update(key_share=True)
    if session.scalar(turn) is None:
        raise NotFound(f"There is no job {job_id}.")


def _row(job_id: str, attempt: int, event: Event, recorded_at: datetime) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "attempt": attempt,
        "sequence": event.sequence,
        "kind": event.kind,
        "status": event.status,
        "step": event.step,
        "total_steps": event.total_steps,
        "message": event.message,
        "reason": event.reason,
        "data": event.data.known(),
        "happened_at": event.timestamp,
        "recorded_at": recorded_at,
    }
