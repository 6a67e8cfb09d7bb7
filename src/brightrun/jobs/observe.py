"""Gathers what `decide` may know about a job: its row, its lease, and what the provider says just now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from brightrun.compute.base import Machine, MachineState
from brightrun.contract.event_data import EventData, MessageData
from brightrun.contract.states import EndReason
from brightrun.database import attempts, events, jobs
from brightrun.database.spending import running_cost
from brightrun.database.tables import TrainingAttempt, TrainingEvent, TrainingJob
from brightrun.errors import ComputeError, NotFound
from brightrun.jobs.decide import Lease, Situation
from brightrun.jobs.limits import cap_of, longest_of, running_since
from brightrun.jobs.month_budget import month_left_usd
from brightrun.jobs.record_event import worker_end
from brightrun.jobs.studio import Studio

INGEST_FAILED = "ingest_failed"


@dataclass(frozen=True, slots=True)
class Observed:
    """A situation, and the rows and the machine it was read from."""

    situation: Situation
    job: TrainingJob
    attempt: TrainingAttempt | None
    machine: Machine | None
    ingest_failure: TrainingEvent | None = None


def observe(studio: Studio, job_id: str) -> Observed:
    """Read the rows, then ask the provider with no transaction open."""
    now = studio.clock()
    with studio.database.reading() as session:
        job = jobs.get(session, job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        leases = attempts.list_for_job(session, job_id)
        attempt = leases[-1] if leases else None
        month_left = (
            None
            if job.status.is_terminal or not _costs(job, attempt)
            else month_left_usd(session, studio, job.owner_id)
        )
        closed_usd = attempts.total_cost(session, job_id) or Decimal(0)
        end = None if attempt is None else worker_end(session, job_id, attempt.number)
        failures = _ingest_failures(events.list_latest(session, job_id, limit=200), attempt)
    failure = failures[-1] if failures else None
    situation = Situation(
        now=now,
        status=job.status,
        lease=None,
        ingest_failures=len(failures),
        ingest_reason=(failure.reason if failure else None) or EndReason.ARTIFACT_UNVERIFIED,
        max_cost_usd=cap_of(job),
        month_left_usd=month_left,
        running_since=running_since(leases),
        max_duration=longest_of(job),
        export_until=job.export_until,
        limits=studio.limits,
    )
    if attempt is None:
        return Observed(situation, job, None, None)
    machine = _ask_provider(studio, job, attempt)
    lease = Lease(
        number=attempt.number,
        open=attempt.ended_at is None,
        machine_known=attempt.machine_id is not None,
        intended_at=attempt.launch_intended_at,
        last_seen_at=attempt.last_seen_at,
        spent_usd=closed_usd + ((running_cost(attempt, now) or 0) if attempt.ended_at is None else 0),
        worker_end=None if end is None else end.status,
        worker_reason=None if end is None else end.reason,
        looked=None if machine is None else machine.state,
        has_gaps=end is not None and attempt.last_sequence < end.sequence,
    )
    return Observed(replace(situation, lease=lease), job, attempt, machine, failure)


def _costs(job: TrainingJob, attempt: TrainingAttempt | None) -> bool:
    """Whether the job costs its owner something that is known; what costs nothing known uses no budget up."""
    known = attempt is not None and attempt.price_usd_per_hour is not None
    return known or job.estimated_cost_usd is not None


def _ask_provider(studio: Studio, job: TrainingJob, attempt: TrainingAttempt) -> Machine | None:
    """The machine of an open lease. One that was never recorded is looked for by its name when it is to end."""
    if attempt.ended_at is not None or (attempt.machine_id is None and not job.status.is_terminal):
        return None
    compute = studio.compute(attempt.provider)
    unsure = Machine(attempt.machine_id or "", attempt.machine_name, MachineState.UNKNOWN)
    try:
        if attempt.machine_id is not None:
            return compute.get(attempt.machine_id)
        return compute.find(attempt.machine_name) or replace(unsure, state=MachineState.TERMINATED)
    except ComputeError:
        return unsure


def _ingest_failures(latest: list[TrainingEvent], attempt: TrainingAttempt | None) -> list[TrainingEvent]:
    number = None if attempt is None else attempt.number
    return [row for row in latest if row.attempt == number and _is_ingest_failure(row.event.data)]


def _is_ingest_failure(data: EventData) -> bool:
    return isinstance(data, MessageData) and data.code == INGEST_FAILED
