"""A job fails: said once, with the reason that is known best. Its machine is terminated by the reconciler."""

from __future__ import annotations

from typing import NamedTuple

from brightrun.contract.event_data import MessageData
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, jobs
from brightrun.database.spending import running_cost
from brightrun.database.tables import TrainingAttempt, TrainingEvent, TrainingJob
from brightrun.jobs.limits import EXPORT_REASONS, may_have_adapter
from brightrun.jobs.record_event import WorkerEnd, worker_end
from brightrun.jobs.studio import Studio
from brightrun.jobs.transition import transition


class FailureText(NamedTuple):
    """What the owner reads; an empty hint is the reason's own."""

    message: str
    hint: str = ""


def fail_job(
    studio: Studio,
    job: TrainingJob,
    attempt: TrainingAttempt | None,
    reason: EndReason,
    *,
    text: FailureText | None = None,
    cause: TrainingEvent | None = None,
    close_lease: bool = False,
) -> None:
    """End a job that is not over yet as failed; one that is over stays as it is.

    Args:
        text: What to say; otherwise what the worker or `cause` said of the same reason, or the reason's own words.
        close_lease: The provider never had a machine for this attempt.
    """
    now = studio.clock()
    with studio.database.session() as session:
        current = jobs.get(session, job.id, lock=True)
        if current is None or current.status.is_terminal:
            return
        end = None if attempt is None else worker_end(session, job.id, attempt.number)
        message, hint = text or _known_text(end, cause, reason)
        if reason in EXPORT_REASONS and attempt is not None and may_have_adapter(attempt):
            until = now + studio.limits.export_on_stop
            jobs.change_if(session, job.id, expected=[current.status], export_until=until)
        transition(
            session,
            current,
            JobStatus.FAILED,
            now=now,
            reason=reason,
            message=message or reason.text.words,
            hint=hint or reason.text.hint,
        )
        if close_lease and attempt is not None:
            cost = running_cost(attempt, now)
            attempts.close_lease(session, attempt.id, ended_at=now, end_reason=reason, cost_usd=cost)


def _known_text(end: WorkerEnd | None, cause: TrainingEvent | None, reason: EndReason) -> FailureText:
    if end is not None and end.reason is reason:
        return FailureText(end.message, end.hint)
    if cause is not None and cause.reason is reason:
        data = cause.event.data
        return FailureText(cause.message or "", (data.hint or "") if isinstance(data, MessageData) else "")
    return FailureText("")
