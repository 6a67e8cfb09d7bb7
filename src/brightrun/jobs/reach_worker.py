"""How a job's worker is reached: its address, its token, and what it says put into a batch. Decides nothing."""

from __future__ import annotations

from brightrun.contract.messages import EventBatch, StatusReply
from brightrun.contract.signatures import job_secret
from brightrun.database import attempts
from brightrun.database.tables import TrainingAttempt
from brightrun.jobs.studio import Studio
from brightrun.jobs.worker_client import WorkerClient, WorkerUnreachable


def open_client(studio: Studio, attempt: TrainingAttempt, url: str | None) -> WorkerClient:
    """A client for an attempt's worker.

    Raises:
        WorkerUnreachable: it has no address yet.
    """
    if url is None:
        raise WorkerUnreachable("The worker has no address.")
    standing = studio.worker_tokens.get(attempt.provider)
    token = worker_token(studio, attempt.job_id) if standing is None else standing.get_secret_value()
    return WorkerClient(url, token, transport=studio.transports.get(attempt.provider))


def worker_url(studio: Studio, attempt: TrainingAttempt) -> str | None:
    """Where the worker answers; the provider is asked where it is not written down yet. None: nowhere so far."""
    if attempt.worker_url is not None:
        return attempt.worker_url
    assert attempt.machine_id is not None
    url = studio.compute(attempt.provider).get(attempt.machine_id).worker_url
    if url is not None:
        with studio.database.session() as session:
            attempts.save(session, attempt.id, worker_url=url)
    return url


def worker_token(studio: Studio, job_id: str) -> str:
    """The bearer token of one job's worker, derived from the master so that it is known to nobody else."""
    return job_secret(studio.webhook_secret.get_secret_value(), f"worker:{job_id}")


def batch_of(studio: Studio, attempt: TrainingAttempt, reply: StatusReply) -> EventBatch:
    """What a worker answered, as if it had pushed it."""
    name = attempt.machine_name
    if reply.events:
        return EventBatch.telling(attempt.job_id, attempt.number, name, list(reply.events))
    return EventBatch.alive(attempt.job_id, attempt.number, name, last=None, at=studio.clock())
