"""A worker's events become rows, whether pushed or pulled: any order, any number of times, never a step back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from brightrun.contract.event_data import EndData, Phase
from brightrun.contract.events import EvaluationEvent, Event, StepEvent
from brightrun.contract.job_metrics import JobMetrics
from brightrun.contract.messages import EventBatch, WebhookReply
from brightrun.contract.states import EndReason, JobStatus
from brightrun.contract.step_metrics import STEP_METRICS
from brightrun.database import attempts, events, jobs, metrics
from brightrun.database.database import Database
from brightrun.database.metrics import MetricPoint
from brightrun.database.tables import TrainingAttempt, TrainingJob
from brightrun.errors import NotFound
from brightrun.jobs.transition import transition
from brightrun.jobs.transitions import may_follow

_LOSSES: dict[Phase, str] = {
    "baseline": "base_validation_loss", "during": "validation_loss", "final": "validation_loss",
}  # fmt: skip


def record_events(database: Database, batch: EventBatch, *, now: datetime) -> WebhookReply:
    """Store what is new in the batch and let the job follow; tells the worker whether to go on.

    Raises:
        NotFound: no such job or attempt.
    """
    with database.session() as session:
        job = jobs.get(session, batch.job_id, lock=True)
        attempt = None if job is None else attempts.get(session, batch.job_id, batch.attempt)
        if job is None or attempt is None:
            raise NotFound(f"There is no attempt {batch.attempt} of a job {batch.job_id}.")
        new = events.append_batch(session, job_id=job.id, attempt=attempt.number, events=batch.events, recorded_at=now)
        acknowledged = events.acknowledged(session, job.id, attempt.number, above=attempt.last_sequence)
        attempts.heard(session, job.id, attempt.number, at=now, last_sequence=acknowledged)
        if new:
            metrics.record(session, job.id, attempt=attempt.number, points=_points(batch.events))
            job = _follow(session, job, attempt, batch.events, now)
        return WebhookReply(
            continue_=not job.status.is_terminal and attempt.number == job.attempt,
            acknowledged=acknowledged,
            reason=job.reason.value if job.reason is not None else None,
            export_on_stop=job.export_until is not None,
        )


def _follow(
    session: Session, job: TrainingJob, attempt: TrainingAttempt, told: Iterable[Event], now: datetime
) -> TrainingJob:
    """Progress and state of the job, from its newest attempt only; a job that ended stays as it is."""
    if job.status.is_terminal or attempt.number != job.attempt:
        return job
    ordered = sorted(told, key=lambda event: event.sequence)
    changes = _progress(job, ordered)
    if changes:
        job = jobs.change_if(session, job.id, expected=[job.status], **changes) or job
    for event in ordered:
        wanted = JobStatus.UPLOADING if event.status is JobStatus.COMPLETED else event.status
        if wanted in {JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED, JobStatus.PROVISIONING}:
            continue  # whether a failed attempt fails the job is decided by the reconciler
        if may_follow(job.status, wanted):
            job = transition(session, job, wanted, now=now, message=event.message, tell=False)
    if any(event.kind == "end" for event in ordered):
        jobs.schedule_check(session, job.id, at=now)
    return job


def _progress(job: TrainingJob, ordered: list[Event]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    known = job.metrics or JobMetrics()
    latest = _latest_step(ordered)
    if latest is not None and latest.step is not None and latest.step > (job.current_step or -1):
        changes["current_step"] = latest.step
        known = known.model_copy(update=latest.data.known())
    known = known.model_copy(update=_losses(ordered))
    if known != (job.metrics or JobMetrics()):
        changes["metrics"] = known
    totals = [event.total_steps for event in ordered if event.total_steps is not None]
    if totals and totals[-1] != job.total_steps:
        changes["total_steps"] = totals[-1]
    return changes


def _latest_step(ordered: Iterable[Event]) -> StepEvent | None:
    steps = [event for event in ordered if isinstance(event, StepEvent) and event.step is not None]
    return steps[-1] if steps else None


def _losses(ordered: Iterable[Event]) -> dict[str, float]:
    return {
        _LOSSES[event.data.phase]: event.data.loss
        for event in ordered
        if isinstance(event, EvaluationEvent) and event.data.phase is not None and event.data.loss is not None
    }


def _points(events: Iterable[Event]) -> list[MetricPoint]:
    points = []
    for event in events:
        match event:
            case StepEvent(step=int(step), data=data):
                figures = {name: getattr(data, name) for name in STEP_METRICS}
                points.append(MetricPoint(kind="train", step=step, recorded_at=event.timestamp, **figures))
            case EvaluationEvent(data=data):
                measured_at = 0 if data.phase == "baseline" else event.step or event.total_steps
                if measured_at is not None:
                    recorded_at = event.timestamp
                    points.append(
                        MetricPoint(kind="validation", step=measured_at, loss=data.loss, recorded_at=recorded_at)
                    )
            case _:
                pass
    return points


class WorkerEnd(NamedTuple):
    """The last line of an attempt's event log."""

    status: JobStatus
    reason: EndReason | None
    message: str
    hint: str
    sequence: int


def worker_end(session: Session, job_id: str, attempt: int) -> WorkerEnd | None:
    """How an attempt's event log ended. None: it has not, as far as is known; lines before the end may be missing."""
    last = events.highest(session, job_id, attempt)
    if last is None or last.kind != "end" or last.sequence is None:
        return None
    data = last.event.data
    hint = data.hint if isinstance(data, EndData) else None
    return WorkerEnd(last.status, last.reason, last.message or "", hint or "", last.sequence)
