"""One pass over one job: a method for each act of `decide`. No transaction is open while machines are asked."""

from __future__ import annotations

import errno
from datetime import timedelta
from typing import assert_never

from brightrun.compute.base import MachineRequest, machine_name
from brightrun.contract.event_data import MessageData
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, events, jobs
from brightrun.database.spending import running_cost
from brightrun.database.tables import TrainingAttempt, TrainingJob
from brightrun.errors import BrightRunError, ClaimLost, ComputeRefused, NoCapacity, NotEnoughDisk
from brightrun.jobs.claim import Claim
from brightrun.jobs.decide import Act, Decision
from brightrun.jobs.export_on_stop import export_on_stop, give_up
from brightrun.jobs.fail_job import FailureText, fail_job
from brightrun.jobs.history import measure_attempt
from brightrun.jobs.ingest import ingest
from brightrun.jobs.limits import EXPORT_REASONS, may_have_adapter
from brightrun.jobs.observe import INGEST_FAILED, Observed
from brightrun.jobs.outcome import Again, Outcome, Settled, Wait
from brightrun.jobs.pull_events import pull_events
from brightrun.jobs.reach_worker import open_client, worker_token, worker_url
from brightrun.jobs.studio import Studio
from brightrun.jobs.transition import transition
from brightrun.jobs.warn_budget import over_limit_text
from brightrun.jobs.worker_client import WorkerRefused, WorkerUnreachable

_NO_CAPACITY_DELAY = timedelta(seconds=15)
_MAX_INGEST_DELAY = timedelta(minutes=1)
_MAX_PULLS = 12


class ReconcilePass:
    """What was observed of a job, and what can be done about it while its claim holds.

    Every act may be repeated: intentions are written before they are carried out.
    """

    def __init__(self, studio: Studio, observed: Observed, claim: Claim) -> None:
        self._studio, self._observed, self._claim = studio, observed, claim
        self._job = observed.job

    def apply(self, decision: Decision) -> Outcome:  # noqa: PLR0911 one for each act
        """Carry out a decision.

        Raises:
            ClaimLost, BrightRunError: the job is looked at again later.
        """
        match decision.act:
            case Act.OPEN_LEASE:
                return self.open_lease()
            case Act.LAUNCH:
                return self.launch()
            case Act.PULL:
                return self.pull()
            case Act.INGEST:
                return self.ingest()
            case Act.TERMINATE_MACHINE:
                return self.terminate_machine()
            case Act.EXPORT:
                return export_on_stop(self._studio, self._job, self._attempt, self._claim.heartbeat)
            case Act.CLOSE_LEASE:
                return self.close_lease(decision.reason)
            case Act.FAIL:
                return self.fail(decision.reason or EndReason.INTERNAL)
            case Act.REST:
                return Settled()
            case _:
                assert_never(decision.act)

    def fails_unheard(self, decision: Decision) -> bool:
        """Whether the job is to fail at a limit while its worker may have more to say: that it is done, for example."""
        attempt, lease = self._observed.attempt, self._observed.situation.lease
        if decision.act is not Act.FAIL or decision.reason not in EXPORT_REASONS or attempt is None:
            return False
        reported = lease is not None and lease.worker_end is not None
        return not reported and may_have_adapter(attempt)

    def hear_out(self) -> None:
        """Ask the worker for all events that it has; one that does not answer has none."""
        for _ in range(_MAX_PULLS):
            with self._studio.database.reading() as session:
                attempt = attempts.get(session, self._job.id, self._attempt.number)
            if attempt is None or not isinstance(self._pull(attempt), Again):
                return

    def open_lease(self) -> Outcome:
        """Write the intent before the act: whoever finds it later looks for the machine by this name."""
        now, number = self._studio.clock(), self._job.attempt + 1
        lease = TrainingAttempt(
            job_id=self._job.id,
            number=number,
            provider=self._job.compute.provider,
            machine_name=machine_name(self._job.id, number),
            launch_intended_at=now,
        )
        with self._studio.database.session() as session:
            current = jobs.get(session, self._job.id, lock=True)
            if current is None or current.status.is_terminal or current.attempt != self._job.attempt:
                return Again()
            attempts.open_lease(session, lease)
            changed = jobs.change_if(session, self._job.id, expected=[current.status], attempt=number)
            if changed is not None and changed.status is not JobStatus.PROVISIONING:
                text = "Looking for a machine." if number == 1 else f"Looking for another machine, attempt {number}."
                transition(session, changed, JobStatus.PROVISIONING, now=now, message=text)
        return Again()

    def launch(self) -> Outcome:
        """Find the machine by its name, or launch it."""
        studio, job, attempt = self._studio, self._job, self._attempt
        compute, request = studio.compute(attempt.provider), _machine_request(studio, job, attempt)
        try:
            machine = compute.find(request.name) or compute.launch(request)
        except NoCapacity:
            return Wait(_NO_CAPACITY_DELAY if studio.limits.capacity is not None else 2 * studio.limits.poll)
        except ComputeRefused as error:
            fail_job(studio, job, attempt, EndReason.NO_CAPACITY, text=FailureText(error.message), close_lease=True)
            return Again()
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
        return Again()

    def pull(self) -> Outcome:
        """Start the worker if it was never heard of, ask for its new events, store them."""
        return self._pull(self._attempt)

    def ingest(self) -> Outcome:
        """Download the run's files, verify and store them.

        A finished run is worth patience: after a failure the delay doubles, up to a minute, a quarter of an hour in
        all.
        """
        studio, job, attempt = self._studio, self._job, self._attempt
        try:
            with open_client(studio, attempt, worker_url(studio, attempt)) as client:
                is_complete = ingest(studio, client, job, attempt, heartbeat=self._claim.heartbeat)
        except ClaimLost:
            raise  # whoever has the job now downloads the files
        except (BrightRunError, OSError) as error:
            self._record_ingest_failure(error)
            doubled = 2 * studio.limits.poll * (1 << min(self._observed.situation.ingest_failures, 10))
            return Wait(min(doubled, max(_MAX_INGEST_DELAY, studio.limits.poll)))
        return Again() if is_complete else Wait(studio.limits.poll)

    def terminate_machine(self) -> Outcome:
        """Ask the provider to terminate the machine; repeated until the provider shows it gone."""
        studio, attempt, machine = self._studio, self._attempt, self._observed.machine
        if self._job.export_until is not None:
            give_up(studio, self._job, "It could not be downloaded in time.")
        if attempt.machine_id is None and machine is not None and machine.id:
            with studio.database.session() as session:
                attempts.save(
                    session, attempt.id, machine_id=machine.id, launched_at=machine.started_at or studio.clock(),
                    price_usd_per_hour=machine.price_usd_per_hour,
                )  # fmt: skip
        machine_id = attempt.machine_id or (None if machine is None else machine.id)
        if machine_id:
            studio.compute(attempt.provider).terminate(machine_id)
        return Wait(studio.limits.poll)

    def close_lease(self, reason: EndReason | None) -> Outcome:
        """The provider shows the machine gone: write what it cost and what it took."""
        studio, job, attempt = self._studio, self._job, self._attempt
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
        return Again()

    def fail(self, reason: EndReason) -> Outcome:
        """End the job; its machine, if it has one, is terminated next."""
        over_limit = over_limit_text(self._observed.situation) if reason is EndReason.BUDGET_REACHED else None
        fail_job(
            self._studio,
            self._job,
            self._observed.attempt,
            reason,
            text=None if over_limit is None else FailureText(*over_limit),
            cause=self._observed.ingest_failure,
        )
        return Again()

    @property
    def _attempt(self) -> TrainingAttempt:
        assert self._observed.attempt is not None, "decide asks for this act only where there is an attempt"
        return self._observed.attempt

    def _pull(self, attempt: TrainingAttempt) -> Outcome:
        studio, job = self._studio, self._job
        url = worker_url(studio, attempt)
        if url is None:
            return Wait(studio.limits.poll)
        try:
            with open_client(studio, attempt, url) as client:
                has_more = pull_events(studio, client, job, attempt)
        except WorkerUnreachable:
            return Wait(studio.limits.poll)
        except WorkerRefused as error:
            if error.details.get("status") == 404 and attempt.last_seen_at is not None:
                return Wait(studio.limits.poll)
            reason = EndReason.DISK_FULL if error.details.get("code") == NotEnoughDisk.code else EndReason.INTERNAL
            text = FailureText(f"The worker refused the job: {error.message}")
            fail_job(studio, job, attempt, reason, text=text)
            return Again()
        return Again() if has_more else Wait(studio.limits.poll)

    def _record_ingest_failure(self, error: BrightRunError | OSError) -> None:
        said = error.message if isinstance(error, BrightRunError) else error.strerror or type(error).__name__
        with self._studio.database.session() as session:
            events.append_own(
                session,
                job_id=self._job.id,
                status=self._job.status,
                happened_at=self._studio.clock(),
                attempt=self._attempt.number,
                reason=EndReason.DISK_FULL if _is_disk_full(error) else EndReason.ARTIFACT_UNVERIFIED,
                message=f"Downloading the files failed: {said}",
                data=MessageData(code=INGEST_FAILED, hint=getattr(error, "hint", "")),
            )


def _machine_request(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> MachineRequest:
    return MachineRequest(
        name=attempt.machine_name,
        job_id=job.id,
        attempt=attempt.number,
        gpu_type=job.compute.gpu_type,
        environment={"TRAINING_WORKER_TOKEN": worker_token(studio, job.id)},
        max_hours=job.compute.max_duration_hours,
        run_folder=studio.run_folder(job.id).root,
    )


def _is_disk_full(error: BrightRunError | OSError) -> bool:
    """The studio's own disk or store, that is."""
    return isinstance(error, NotEnoughDisk) or getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}
