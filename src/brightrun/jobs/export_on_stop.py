"""Downloads an adapter of a job that ended early, before its machine is ended: asked for, waited for a while, stored.

It is partial, and stays marked so. That it is asked for is a column of the job's row, so a studio that restarts
goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from brightrun.contract.event_data import MessageData
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, attempts, events, jobs
from brightrun.database.tables import ModelArtifact, TrainingAttempt, TrainingJob
from brightrun.errors import BrightRunError, ClaimLost
from brightrun.jobs.ingest import fetch_partial
from brightrun.jobs.outcome import Again, Outcome, Wait
from brightrun.jobs.pull_events import pull_rest
from brightrun.jobs.reach_worker import open_client, worker_url
from brightrun.jobs.studio import Studio
from brightrun.jobs.worker_client import WorkerClient, WorkerRefused

EXPORTED, NOT_EXPORTED = "adapter_exported", "adapter_not_exported"


class _NoAdapter(BrightRunError):
    """There is none and there will be none."""


def export_on_stop(
    studio: Studio, job: TrainingJob, attempt: TrainingAttempt, heartbeat: Callable[[], None]
) -> Outcome:
    """One question about it; it is repeated until there is an adapter, or there will be none.

    Raises:
        ClaimLost
    """
    try:
        with open_client(studio, attempt, worker_url(studio, attempt)) as client:
            return _poll(studio, client, job, attempt, heartbeat)
    except ClaimLost:
        raise
    except (_NoAdapter, WorkerRefused) as error:
        give_up(studio, job, error.message)
        return Again()
    except (BrightRunError, OSError):
        return Wait(studio.limits.poll)  # until the patience ends, which `decide` sees


def give_up(studio: Studio, job: TrainingJob, why: str) -> None:
    """There will be no adapter of this job; said once."""
    with studio.database.session() as session:
        current = jobs.get(session, job.id, lock=True)
        if current is None or current.export_until is None:
            return
        jobs.change_if(session, job.id, expected=[current.status], export_until=None)
        _say(studio, session, current, NOT_EXPORTED, f"No adapter was kept. {why}")


def _poll(
    studio: Studio, client: WorkerClient, job: TrainingJob, attempt: TrainingAttempt, heartbeat: Callable[[], None]
) -> Outcome:
    reply = client.graceful_stop(job.id, job.reason or EndReason.CANCELLED_BY_USER)
    if reply.attempt != attempt.number:
        raise _NoAdapter("The worker has gone on to another attempt.")
    pull_rest(studio, client, attempt)
    if reply.alive or reply.exporting:
        return Wait(studio.limits.poll)
    if reply.export_error is not None:
        raise _NoAdapter(reply.export_error.splitlines()[0].removeprefix("error: "))
    rows = fetch_partial(studio, client, job, attempt, heartbeat=heartbeat)
    if rows is None:
        raise _NoAdapter("The worker made none.")
    _record(studio, job, attempt, rows)
    return Again()


def _record(studio: Studio, job: TrainingJob, attempt: TrainingAttempt, rows: list[ModelArtifact]) -> None:
    now = studio.clock()
    with studio.database.session() as session:
        current = jobs.get(session, job.id, lock=True)
        if current is None or current.export_until is None:
            return
        for row in rows:
            artifacts.save(session, row)
        changes = {"export_until": None, "lora_artifact_path": f"lora_adapters/{job.id}/"}
        jobs.change_if(session, job.id, expected=list(JobStatus), **changes)
        attempts.save(session, attempt.id, last_seen_at=now)
        _say(studio, session, current, EXPORTED, "An adapter of the last checkpoint is here; nothing is proven by it.")


def _say(studio: Studio, session: Session, job: TrainingJob, code: str, words: str) -> None:
    events.append_own(
        session,
        job_id=job.id,
        status=job.status,
        happened_at=studio.clock(),
        attempt=job.attempt or None,
        message=words,
        data=MessageData(code=code),
    )
