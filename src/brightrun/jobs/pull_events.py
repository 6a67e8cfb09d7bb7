"""Asks a worker for its events and stores them. Pushed ones come in through `record_event` alike."""

from __future__ import annotations

from brightrun.database import attempts
from brightrun.database.tables import TrainingAttempt, TrainingJob
from brightrun.jobs.reach_worker import batch_of
from brightrun.jobs.record_event import record_events
from brightrun.jobs.start_request import start_request
from brightrun.jobs.studio import Studio
from brightrun.jobs.worker_client import WorkerClient, WorkerRefused


def pull_events(studio: Studio, client: WorkerClient, job: TrainingJob, attempt: TrainingAttempt) -> bool:
    """One question to the worker, which starts the job where the worker was never heard of.

    Returns:
        Whether there is more to be done at once: further events, or the run's end among those that came.

    Raises:
        WorkerUnreachable, WorkerRefused
    """
    if attempt.last_seen_at is None:
        reply = client.start(start_request(studio, job, attempt))
        _catch_up(studio, client, attempt)
    else:
        reply = client.status(job.id, after=attempt.last_sequence)
    answer = record_events(studio.database, batch_of(studio, attempt, reply), now=studio.clock())
    ended = any(event.kind == "end" for event in reply.events)
    return ended or reply.last_sequence > answer.acknowledged


def pull_rest(studio: Studio, client: WorkerClient, attempt: TrainingAttempt) -> None:
    """Ask until the attempt's last event is here.

    Raises:
        WorkerUnreachable, WorkerRefused
    """
    after, more = attempt.last_sequence, True
    while more:
        reply = client.status(attempt.job_id, after=after, attempt=attempt.number)
        answer = record_events(studio.database, batch_of(studio, attempt, reply), now=studio.clock())
        more = after < answer.acknowledged < reply.last_sequence
        after = answer.acknowledged


def _catch_up(studio: Studio, client: WorkerClient, attempt: TrainingAttempt) -> None:
    """Fetch what earlier attempts wrote last, where this machine has their disk: nobody asked before they were lost."""
    with studio.database.reading() as session:
        earlier = [lease for lease in attempts.list_for_job(session, attempt.job_id) if lease.number < attempt.number]
    for lease in earlier:
        try:
            pull_rest(studio, client, lease)
        except WorkerRefused:
            continue  # another disk
