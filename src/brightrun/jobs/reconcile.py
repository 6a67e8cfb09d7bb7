"""Claims jobs that are due, looks, decides, acts. Any number of studios may do so on one database."""

from __future__ import annotations

import errno
import logging
from datetime import timedelta

from brightrun.compute.base import MachineRequest, machine_name
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, events, jobs
from brightrun.database.claims import ClaimedJob
from brightrun.database.spending import running_cost
from brightrun.database.tables import TrainingAttempt, TrainingEvent, TrainingJob
from brightrun.errors import BrightRunError, ClaimLost, ComputeRefused, NoCapacity, NotEnoughDisk
from brightrun.jobs.claim import Claim
from brightrun.jobs.decide import Act, Decision, decide
from brightrun.jobs.export_on_stop import export_on_stop, give_up
from brightrun.jobs.history import measure_attempt
from brightrun.jobs.ingest import ingest
from brightrun.jobs.limits import EXPORT_REASONS, may_have_adapter
from brightrun.jobs.observe import INGEST_FAILED, Observed, observe
from brightrun.jobs.reach_worker import batch_of, open_client, worker_token, worker_url
from brightrun.jobs.record_event import record_events, worker_end
from brightrun.jobs.start_request import start_request
from brightrun.jobs.studio import Studio
from brightrun.jobs.transition import transition
from brightrun.jobs.warn_budget import over_limit_text, warn_budget
from brightrun.jobs.worker_client import WorkerClient, WorkerRefused, WorkerUnreachable

_log = logging.getLogger(__name__)
CLAIM = timedelta(minutes=5)
_ROUNDS = 12
_LATER = timedelta(seconds=15)
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
        pause = _act_until_waiting(studio, Claim(studio, claim, CLAIM))
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
            jobs.release_claim(session, job_id, claim.token, next_check_at=due)
    except ClaimLost:
        _log.info("the claim on job %s was taken over", job_id)


def _act_until_waiting(studio: Studio, claim: Claim) -> timedelta | None:
    """Act as often as something can be done at once; how long to wait then. None: there is nothing left to do.

    Raises:
        ClaimLost: it took so long that another studio has the job.
    """
    listened = False
    for _ in range(_ROUNDS):
        observed = observe(studio, claim.job_id)
        decision = decide(observed.situation)
        if decision.act is Act.REST:
            return None
        claim.heartbeat()
        if not listened and _fails_unheard(observed, decision):
            listened = True
            _listen(studio, observed)
            continue
        warn_budget(studio, observed.job, observed.situation)
        pause = _act(studio, observed, decision, claim)
        if pause is not None:
            return pause
    return studio.limits.poll


def _fails_unheard(observed: Observed, decision: Decision) -> bool:
    """Whether a job is to fail at a limit while its worker may have more to tell: that it is done, for example."""
    at_limit = decision.act is Act.FAIL and decision.reason in EXPORT_REASONS
    told = observed.situation.lease is not None and observed.situation.lease.worker_end is not None
    return at_limit and not told and observed.attempt is not None and may_have_adapter(observed.attempt)


def _listen(studio: Studio, observed: Observed) -> None:
    """Ask the worker for all that it has to tell; one that does not answer has nothing."""
    assert observed.attempt is not None
    for _ in range(_ROUNDS):
        with studio.database.reading() as session:
            attempt = attempts.get(session, observed.job.id, observed.attempt.number)
        if attempt is None or _pull(studio, observed.job, attempt) is not None:
            return


def _act(  # noqa: PLR0911 one for each act
    studio: Studio, observed: Observed, decision: Decision, claim: Claim
) -> timedelta | None:
    """Do it; how long to wait before the next look, or None to look again at once."""
    job, attempt = observed.job, observed.attempt
    if decision.act is Act.OPEN_LEASE:
        return _open_lease(studio, job)
    if decision.act is Act.FAIL:
        reason = decision.reason or EndReason.INTERNAL
        words = over_limit_text(observed.situation) if reason is EndReason.BUDGET_REACHED else None
        return _fail(studio, job, attempt, reason, words=words, cause=observed.ingest_failure)
    assert attempt is not None
    if decision.act is Act.LAUNCH:
        return _launch(studio, job, attempt)
    if decision.act is Act.TERMINATE_MACHINE:
        return _end_machine(studio, observed, attempt)
    if decision.act is Act.EXPORT:
        return export_on_stop(studio, job, attempt, claim.heartbeat)
    if decision.act is Act.CLOSE_LEASE:
        return _close_lease(studio, job, attempt, decision.reason)
    if decision.act is Act.INGEST:
        return _ingest(studio, job, attempt, claim, failures=observed.situation.ingest_failures)
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
            transition(session, changed, JobStatus.PROVISIONING, now=now, message=words)
    return None


def _launch(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> timedelta | None:
    compute = studio.compute(attempt.provider)
    request = MachineRequest(
        name=attempt.machine_name,
        job_id=job.id,
        attempt=attempt.number,
        gpu_type=job.compute.get("gpu_type"),
        environment={"TRAINING_WORKER_TOKEN": worker_token(studio, job.id)},
        max_hours=job.compute.get("max_duration_hours"),
        run_folder=studio.run_folder(job.id).root,
    )
    try:
        machine = compute.find(request.name) or compute.launch(request)
    except NoCapacity:
        return _LATER if studio.limits.capacity is not None else 2 * studio.limits.poll
    except ComputeRefused as error:
        return _fail(studio, job, attempt, EndReason.NO_CAPACITY, words=(error.message, ""), close=True)
    with studio.database.session() as session:
        attempts.save(
            session,
            attempt.id,
            machine_id=machine.id,
            worker_url=machine.worker_url,
            launched_at=machine.started_at or studio.clock(),
            price_usd_per_hour=machine.price_usd_per_hour,
        )
        jobs.change_if(session, job.id, expected=[job.status], machine_id=machine.id)
    return None


def _pull(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> timedelta | None:
    """Start the worker if it never spoke, ask for its news, store them."""
    url = worker_url(studio, attempt)
    if url is None:
        return studio.limits.poll
    try:
        with open_client(studio, attempt, url) as client:
            if attempt.last_seen_at is None:
                reply = client.start(start_request(studio, job, attempt))
                _catch_up(studio, client, attempt)
            else:
                reply = client.status(job.id, after=attempt.last_sequence)
    except WorkerUnreachable:
        return studio.limits.poll
    except WorkerRefused as error:
        if error.details.get("status") == 404 and attempt.last_seen_at is not None:
            return studio.limits.poll
        reason = EndReason.DISK_FULL if error.details.get("code") == NotEnoughDisk.code else EndReason.INTERNAL
        words = (f"The worker refused the job: {error.message}", "")
        return _fail(studio, job, attempt, reason, words=words)
    answer = record_events(studio.database, batch_of(studio, attempt, reply), now=studio.clock())
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
            answer = record_events(studio.database, batch_of(studio, lease, reply), now=studio.clock())
            more = after < answer.acknowledged < reply.last_sequence
            after = answer.acknowledged


def _ingest(
    studio: Studio, job: TrainingJob, attempt: TrainingAttempt, claim: Claim, *, failures: int
) -> timedelta | None:
    """Bring the files home.

    A finished run is worth patience: after a failure the pause doubles, up to a minute, a quarter of an hour in all.
    """
    url = worker_url(studio, attempt)
    try:
        with open_client(studio, attempt, url) as client:
            is_home = ingest(studio, client, job, attempt, heartbeat=claim.heartbeat)
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
                data={"code": INGEST_FAILED, "hint": getattr(error, "hint", "")},
            )
        return min(2 * studio.limits.poll * (1 << min(failures, 10)), max(_MINUTE, studio.limits.poll))
    return None if is_home else studio.limits.poll


def _is_disk_full(error: BrightRunError | OSError) -> bool:
    """The studio's own disk or store, that is."""
    return isinstance(error, NotEnoughDisk) or getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}


def _end_machine(studio: Studio, observed: Observed, attempt: TrainingAttempt) -> timedelta | None:
    machine = observed.machine
    if observed.job.export_until is not None:
        give_up(studio, observed.job, "It could not be brought home in time.")
    machine_id = attempt.machine_id or (None if machine is None else machine.id)
    if machine_id:
        if attempt.machine_id is None and machine is not None:
            with studio.database.session() as session:
                attempts.save(
                    session, attempt.id, machine_id=machine.id, launched_at=machine.started_at or studio.clock(),
                    price_usd_per_hour=machine.price_usd_per_hour,
                )  # fmt: skip
        studio.compute(attempt.provider).terminate(machine_id)
    return studio.limits.poll


def _close_lease(
    studio: Studio, job: TrainingJob, attempt: TrainingAttempt, reason: EndReason | None
) -> timedelta | None:
    now = studio.clock()
    if job.export_until is not None:
        give_up(studio, job, "Its machine was gone before.")
    measured = measure_attempt(studio, attempt)
    with studio.database.session() as session:
        cost = running_cost(attempt, now)
        attempts.close_lease(session, attempt.id, ended_at=now, end_reason=reason or job.reason, cost_usd=cost)
        if measured is not None:
            attempts.save(session, attempt.id, actuals=measured.model_dump(mode="json"))
        total = attempts.total_cost(session, job.id)
        jobs.change_if(session, job.id, expected=list(JobStatus), actual_cost_usd=total)
    return None


def _fail(
    studio: Studio,
    job: TrainingJob,
    attempt: TrainingAttempt | None,
    reason: EndReason,
    *,
    words: tuple[str, str] | None = None,
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
        said, hint = words or told
        said, hint = said or reason.text.words, hint or reason.text.hint
        if reason in EXPORT_REASONS and attempt is not None and may_have_adapter(attempt):
            until = now + studio.limits.export_on_stop
            jobs.change_if(session, job.id, expected=[current.status], export_until=until)
        transition(session, current, JobStatus.FAILED, now=now, reason=reason, message=said, hint=hint)
        if close and attempt is not None:
            attempts.close_lease(
                session, attempt.id, ended_at=now, end_reason=reason, cost_usd=running_cost(attempt, now)
            )
    return None
