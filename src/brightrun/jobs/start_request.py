"""What an attempt's worker is told at its start: the spec, its data, its limits, and where its news go."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.contract.messages import StartFile, StartRequest
from brightrun.contract.signatures import job_secret
from brightrun.database import attempts
from brightrun.database.tables import TrainingAttempt, TrainingJob
from brightrun.errors import InputError
from brightrun.jobs.limits import cap_of, longest_of, running_since
from brightrun.jobs.studio import Studio

_LINK = timedelta(hours=2)


def start_request(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> StartRequest:
    """Everything the worker of an attempt has to know, with links to its data made at this moment.

    Raises:
        InputError: the worker cannot fetch its data from this studio.
        StorageError
    """
    spec = JobSpec.model_validate(job.spec)
    data = spec.dataset
    audit = "data/audit.json"  # the report and the model card tell of it
    files = (
        (data.train_path, data.train_sha256),
        (data.validation_path, data.validation_sha256),
        (audit, file_sha256(studio.run_folder(job.id).root / audit)),
    )
    return StartRequest(
        spec=spec,
        attempt=attempt.number,
        resume=True,
        files=tuple(_start_file(studio, job, attempt, name, sha) for name, sha in files),
        **_limits(studio, job, attempt),
        **_where_to_push(studio, job.id),
    )


def _start_file(studio: Studio, job: TrainingJob, attempt: TrainingAttempt, name: str, sha256: str) -> StartFile:
    """A file that lies in the folder already, or that the worker is to fetch by a link made at this moment."""
    path = studio.run_folder(job.id).root / name
    if studio.compute(attempt.provider).shares_disk:
        return StartFile(name=name, sha256=sha256, bytes=path.stat().st_size)
    key = f"training_data/{job.id}/{path.name}"
    stored = studio.storage.put(key, path, sha256=sha256)
    link = studio.storage.download_link(key, expires=_LINK)
    if not link.startswith(("http://", "https://")):
        raise InputError(
            f"The worker of {attempt.provider} cannot fetch its data: the studio has no address of its own.",
            hint="Set BRIGHTRUN_PUBLIC_URL to where the worker can reach the studio.",
        )
    return StartFile(name=name, sha256=sha256, bytes=stored.bytes, url=link)


def _where_to_push(studio: Studio, job_id: str) -> dict[str, Any]:
    """The webhook's address and this job's own secret, where the studio can be reached; journals are pulled anyway."""
    if studio.public_url is None:
        return {}
    secret = job_secret(studio.webhook_secret.get_secret_value(), job_id)
    return {"webhook_url": f"{studio.public_url.rstrip('/')}/api/training/webhook", "webhook_secret": secret}


def _limits(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> dict[str, Any]:
    """What the worker keeps to by itself, so that a studio that is gone cannot overspend.

    The cap is what earlier attempts left of the job's; a machine without a price cannot keep one.
    """
    with studio.database.reading() as session:
        leases = attempts.list_for_job(session, job.id)
    spent = sum((lease.cost_usd or Decimal(0) for lease in leases if lease.number < attempt.number), Decimal(0))
    cap, price = cap_of(job), attempt.price_usd_per_hour
    begun, longest = running_since(leases), longest_of(job)
    return {
        "price_usd_per_hour": price,
        "paid_since": attempt.launched_at,
        "max_cost_usd": None if cap is None or price is None else max(cap - spent, Decimal(0)),
        "deadline": None if begun is None or longest is None else begun + longest,
    }
