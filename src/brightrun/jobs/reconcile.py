"""Claims jobs that are due, looks, decides, acts. Any number of studios may do so on one database."""

from __future__ import annotations

import errno
import logging
from datetime import timedelta
from typing import Any

from brightrun.compute.base import MachineWish, machine_name
from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.contract.messages import JournalBatch, StartFile, StartRequest, StatusReply
from brightrun.contract.signatures import job_secret
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, events, jobs
from brightrun.database.claims import ClaimedJob
from brightrun.database.spending import running_cost
from brightrun.database.tables import TrainingAttempt, TrainingEvent, TrainingJob
from brightrun.errors import BrightRunError, ClaimLost, ComputeRefused, InputError, NoCapacity, NotEnoughDisk
from brightrun.jobs.collect import collect
from brightrun.jobs.decide import Act, Decision, decide
from brightrun.jobs.hold import Hold
from brightrun.jobs.move import move
from brightrun.jobs.observe import COLLECT_FAILED, Observed, observe
from brightrun.jobs.record_event import record_events, worker_end
from brightrun.jobs.studio import Studio
from brightrun.jobs.worker_client import WorkerClient, WorkerRefused, WorkerUnreachable

_log = logging.getLogger(__name__)
CLAIM = timedelta(minutes=5)
_ROUNDS = 12
_LATER = timedelta(seconds=15)
_LINK = timedelta(hours=2)
_MINUTE = timedelta(minutes=1)


def reconcile_once(studio: Studio, *, owner: str, limit: int = 20) -> int:
    """One pass over the jobs that are due, at most `limit`; how many were looked at.

    They are claimed one by one: a job that waited behind slow ones would be held by a claim that lapses meanwhile.
    """
    for looked_at in range(limit):
        with studio.database.session() as session:
            claimed = jobs.claim_due(session, owner=owner, now=studio.clock(), lease=CLAIM, limit=1)
        if not claimed:
            return looked_at
        _reconcile(studio, claimed[0])
    return limit


def _reconcile(studio: Studio, claim: ClaimedJob) -> None:
    job_id = claim.job.id
    pause: timedelta | None = _LATER
    try:
        pause = _act_until_waiting(studio, Hold(studio, claim, CLAIM))
    except ClaimLost:
        _log.info("the claim on job %s was taken over", job_id)
        return
    except BrightRunError as error:
        _log.warning("job %s: %s It is looked at again.", job_id, error.message)
    except Exception:  # noqa: BLE001 the reconciler's loop, one of three broad excepts: a job must not stop the others
        _log.exception("reconciling job %s failed; it is looked at again", job_id)
    try:
        with studio.database.session() as session:
            due = None if pause is None else studio.clock() + pause
            jobs.release_claim(session, job_id, claim.token, next_look_at=due)
    except ClaimLost:
        _log.info("the claim on job %s was taken over", job_id)


def _act_until_waiting(studio: Studio, hold: Hold) -> timedelta | None:
    """Act as often as something can be done at once; how long to wait then. None: there is nothing left to do.

    Raises:
        ClaimLost: it took so long that another studio has the job.
    """
    for _ in range(_ROUNDS):
        observed = observe(studio, hold.job_id)
        decision = decide(observed.situation)
        if decision.act is Act.REST:
            return None
        hold.keep()
        pause = _act(studio, observed, decision, hold)
        if pause is not None:
            return pause
    return studio.limits.poll


def _act(  # noqa: PLR0911 one for each act
    studio: Studio, observed: Observed, decision: Decision, hold: Hold
) -> timedelta | None:
    """Do it; how long to wait before the next look, or None to look again at once."""
    job, attempt = observed.job, observed.attempt
    if decision.act is Act.OPEN_LEASE:
        return _open_lease(studio, job)
    if decision.act is Act.FAIL:
        return _fail(studio, job, attempt, decision.reason or EndReason.INTERNAL, cause=observed.collect_failure)
    assert attempt is not None
    if decision.act is Act.LAUNCH:
        return _launch(studio, job, attempt)
    if decision.act is Act.END_MACHINE:
        return _end_machine(studio, observed, attempt)
    if decision.act is Act.CLOSE_LEASE:
        return _close_lease(studio, job, attempt, decision.reason)
    if decision.act is Act.COLLECT:
        return _collect(studio, job, attempt, hold, failures=observed.situation.collect_failures)
    return _pull(studio, job, attempt)


def _open_lease(studio: Studio, job: TrainingJob) -> timedelta | None:
    """The intent is written before the act: whoever finds it later looks for the machine by this name."""
    now = studio.clock()
    number = job.attempt + 1
    lease = TrainingAttempt(
        job_id=job.id,
        number=number,
        provider=job.compute["provider"],
        machine_name=machine_name(job.id, number),
        launch_intended_at=now,
    )
    with studio.database.session() as session:
        current = jobs.get(session, job.id, lock=True)
        if current is None or current.status.is_terminal or current.attempt != job.attempt:
            return None
        attempts.open_lease(session, lease)
        changed = jobs.change_if(session, job.id, expected=[current.status], attempt=number)
        if changed is not None and changed.status is not JobStatus.PROVISIONING:
            words = "Looking for a machine." if number == 1 else f"Looking for another machine, attempt {number}."
            move(session, changed, JobStatus.PROVISIONING, now=now, message=words)
    return None


def _launch(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> timedelta | None:
    compute = studio.compute(attempt.provider)
    wish = MachineWish(
        name=attempt.machine_name,
        job_id=job.id,
        attempt=attempt.number,
        gpu_type=job.compute.get("gpu_type"),
        environment={"TRAINING_WORKER_TOKEN": worker_token(studio, job.id)},
        max_hours=job.compute.get("max_duration_hours"),
        run_folder=studio.run_folder(job.id).root,
    )
    try:
        machine = compute.find(wish.name) or compute.launch(wish)
    except NoCapacity:
        return _LATER if studio.limits.capacity is not None else 2 * studio.limits.poll
    except ComputeRefused as error:
        return _fail(studio, job, attempt, EndReason.NO_CAPACITY, message=error.message, close=True)
    with studio.database.session() as session:
        attempts.save(
            session,
            attempt.id,
            machine_id=machine.id,
            worker_url=machine.worker_url,
            launched_at=machine.started_at or studio.clock(),
            price_usd_per_hour=machine.price_usd_per_hour,
        )
        jobs.change_if(session, job.id, expected=[job.status], runpod_pod_id=machine.id)
    return None


def _pull(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> timedelta | None:
    """Start the worker if it never spoke, ask for its news, store them."""
    url = _worker_url(studio, attempt)
    if url is None:
        return studio.limits.poll
    try:
        with _client(studio, job, attempt, url) as client:
            if attempt.last_heard_at is None:
                reply = client.start(_start_request(studio, job, attempt))
                _catch_up(studio, client, attempt)
            else:
                reply = client.status(job.id, after=attempt.last_sequence)
    except WorkerUnreachable:
        return studio.limits.poll
    except WorkerRefused as error:
        if error.details.get("status") == 404 and attempt.last_heard_at is not None:
            return studio.limits.poll
        return _fail(studio, job, attempt, EndReason.INTERNAL, message=f"The worker refused the job: {error.message}")
    answer = record_events(studio.database, _batch(attempt, reply, job.id, studio), now=studio.clock())
    ended = any(event.kind == "end" for event in reply.events)
    more = reply.last_sequence > answer.acknowledged
    return None if ended or more else studio.limits.poll


def _catch_up(studio: Studio, client: WorkerClient, attempt: TrainingAttempt) -> None:
    """Fetch what earlier attempts wrote last, where this machine has their disk: nobody asked before they were lost."""
    with studio.database.reading() as session:
        earlier = [lease for lease in attempts.list_for_job(session, attempt.job_id) if lease.number < attempt.number]
    for lease in earlier:
        after, more = lease.last_sequence, True
        while more:
            try:
                reply = client.status(attempt.job_id, after=after, attempt=lease.number)
            except WorkerRefused:
                break  # another disk
            answer = record_events(studio.database, _batch(lease, reply, attempt.job_id, studio), now=studio.clock())
            more = after < answer.acknowledged < reply.last_sequence
            after = answer.acknowledged


def _worker_url(studio: Studio, attempt: TrainingAttempt) -> str | None:
    if attempt.worker_url is not None:
        return attempt.worker_url
    assert attempt.machine_id is not None
    url = studio.compute(attempt.provider).look(attempt.machine_id).worker_url
    if url is not None:
        with studio.database.session() as session:
            attempts.save(session, attempt.id, worker_url=url)
    return url


def _batch(attempt: TrainingAttempt, reply: StatusReply, job_id: str, studio: Studio) -> JournalBatch:
    name = attempt.machine_name
    if reply.events:
        return JournalBatch.telling(job_id, attempt.number, name, list(reply.events))
    return JournalBatch.alive(job_id, attempt.number, name, last=None, at=studio.clock())


def _start_request(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> StartRequest:
    spec = JobSpec.model_validate(job.spec)
    data = spec.dataset
    audit = "data/audit.json"  # the report and the model card tell of it
    files = (
        (data.train_path, data.train_sha256),
        (data.held_out_path, data.held_out_sha256),
        (audit, file_sha256(studio.run_folder(job.id).root / audit)),
    )
    return StartRequest(
        spec=spec,
        attempt=attempt.number,
        resume=True,
        files=tuple(_start_file(studio, job, attempt, name, sha) for name, sha in files),
        price_usd_per_hour=attempt.price_usd_per_hour,
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


def _client(studio: Studio, job: TrainingJob, attempt: TrainingAttempt, url: str) -> WorkerClient:
    standing = studio.worker_tokens.get(attempt.provider)
    token = worker_token(studio, job.id) if standing is None else standing.get_secret_value()
    return WorkerClient(url, token, transport=studio.transports.get(attempt.provider))


def worker_token(studio: Studio, job_id: str) -> str:
    """The bearer token of one job's worker, derived from the master so that it is known to nobody else."""
    return job_secret(studio.webhook_secret.get_secret_value(), f"worker:{job_id}")


def _collect(
    studio: Studio, job: TrainingJob, attempt: TrainingAttempt, hold: Hold, *, failures: int
) -> timedelta | None:
    """Bring the files home.

    A finished run is worth patience: after a failure the pause doubles, up to a minute, a quarter of an hour in all.
    """
    url = _worker_url(studio, attempt)
    try:
        if url is None:
            raise WorkerUnreachable("The worker has no address.")
        with _client(studio, job, attempt, url) as client:
            is_home = collect(studio, client, job, attempt, keep=hold.keep)
    except ClaimLost:
        raise  # whoever has the job now brings the files home
    except (BrightRunError, OSError) as error:
        said = error.message if isinstance(error, BrightRunError) else error.strerror or type(error).__name__
        with studio.database.session() as session:
            events.append_own(
                session,
                job_id=job.id,
                kind="message",
                status=job.status,
                happened_at=studio.clock(),
                attempt=attempt.number,
                reason=EndReason.DISK_FULL if _is_disk_full(error) else EndReason.ARTIFACT_UNVERIFIED,
                message=f"Bringing the files home failed: {said}",
                data={"code": COLLECT_FAILED, "hint": getattr(error, "hint", "")},
            )
        return min(2 * studio.limits.poll * (1 << min(failures, 10)), max(_MINUTE, studio.limits.poll))
    return None if is_home else studio.limits.poll


def _is_disk_full(error: BrightRunError | OSError) -> bool:
    """The studio's own disk or store, that is."""
    return isinstance(error, NotEnoughDisk) or getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}


def _end_machine(studio: Studio, observed: Observed, attempt: TrainingAttempt) -> timedelta | None:
    machine = observed.machine
    machine_id = attempt.machine_id or (None if machine is None else machine.id)
    if machine_id:
        if attempt.machine_id is None and machine is not None:
            with studio.database.session() as session:
                attempts.save(
                    session, attempt.id, machine_id=machine.id, launched_at=machine.started_at or studio.clock(),
                    price_usd_per_hour=machine.price_usd_per_hour,
                )  # fmt: skip
        studio.compute(attempt.provider).end(machine_id)
    return studio.limits.poll


def _close_lease(
    studio: Studio, job: TrainingJob, attempt: TrainingAttempt, reason: EndReason | None
) -> timedelta | None:
    now = studio.clock()
    with studio.database.session() as session:
        cost = running_cost(attempt, now)
        attempts.close_lease(session, attempt.id, ended_at=now, end_reason=reason or job.reason, cost_usd=cost)
        total = attempts.total_cost(session, job.id)
        jobs.change_if(session, job.id, expected=list(JobStatus), actual_cost_usd=total)
    return None


def _fail(
    studio: Studio,
    job: TrainingJob,
    attempt: TrainingAttempt | None,
    reason: EndReason,
    *,
    message: str | None = None,
    cause: TrainingEvent | None = None,
    close: bool = False,
) -> timedelta | None:
    """The job failed; its machine, if it has one, is ended next."""
    now = studio.clock()
    with studio.database.session() as session:
        current = jobs.get(session, job.id, lock=True)
        if current is None or current.status.is_terminal:
            return None
        end = None if attempt is None else worker_end(session, job.id, attempt.number)
        told = ("", "")
        if end is not None and end.reason is reason:
            told = (end.message, end.hint)
        elif cause is not None and cause.reason is reason:
            told = (cause.message or "", str(cause.data.get("hint", "")))
        said = message or told[0] or reason.text.words
        hint = told[1] or reason.text.hint
        move(session, current, JobStatus.FAILED, now=now, reason=reason, message=said, hint=hint)
        if close and attempt is not None:
            attempts.close_lease(
                session, attempt.id, ended_at=now, end_reason=reason, cost_usd=running_cost(attempt, now)
            )
    return None
