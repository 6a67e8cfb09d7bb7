"""What is known about a job in, the next action out. Pure: no clock, no database, no network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from brightrun.compute.base import MachineState
from brightrun.contract.states import EndReason, JobStatus


class Act(StrEnum):
    """What the reconciler can do next."""

    OPEN_LEASE = "open_lease"  # write the intent, then launch
    LAUNCH = "launch"  # look for the machine by its name, launch it if there is none
    PULL = "pull"  # ask the worker for its new events
    INGEST = "ingest"  # download the artifacts, verify them, complete
    TERMINATE_MACHINE = "terminate_machine"  # repeated until the provider shows it gone
    EXPORT = "export"  # have the machine of a job that ended make an adapter, and download it
    CLOSE_LEASE = "close_lease"  # the provider shows it gone: write the cost
    FAIL = "fail"
    REST = "rest"  # nothing will ever be due again


@dataclass(frozen=True, slots=True)
class ReconcileLimits:
    """How patient the studio is."""

    launch: timedelta = timedelta(minutes=30)  # from intent to the worker's first word
    silence: timedelta = timedelta(minutes=10)  # between two words of a worker whose machine runs
    capacity: timedelta | None = None  # how long a job waits for a machine to be free; None: for its turn, however long
    export_on_stop: timedelta = timedelta(minutes=5)  # for a job that ended to bring an adapter of its last step home
    attempts: int = 3
    poll: timedelta = timedelta(seconds=1)  # between two questions to a worker or a provider


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known about the newest attempt's machine. Times are aware, UTC."""

    number: int
    open: bool
    machine_known: bool
    intended_at: datetime
    last_seen_at: datetime | None
    spent_usd: Decimal
    worker_end: JobStatus | None  # completed or failed, once the journal told its end
    worker_reason: EndReason | None
    looked: MachineState | None  # what the provider said just now; None: not asked in this round
    has_gaps: bool = False  # the end was told, and lines before it are not here yet


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything `decide` may know."""

    now: datetime
    status: JobStatus
    lease: Lease | None
    ingest_failures: int = 0
    ingest_reason: EndReason = EndReason.ARTIFACT_UNVERIFIED  # why the last of these failed
    max_cost_usd: Decimal | None = None
    month_left_usd: Decimal | None = (
        None  # of the owner's budget, over all jobs; None: no limit, or this job costs none
    )
    running_since: datetime | None = None  # when the job's first machine was launched
    export_until: datetime | None = None  # an adapter is still wanted of a job that ended
    max_duration: timedelta | None = None
    limits: ReconcileLimits = ReconcileLimits()


@dataclass(frozen=True, slots=True)
class Decision:
    act: Act
    reason: EndReason | None = None


_WORTH_ANOTHER_TRY = frozenset({EndReason.INTERRUPTED, EndReason.WORKER_LOST})
_INGEST_TRIES = 20


def decide(known: Situation) -> Decision:  # noqa: PLR0911 a table of cases has a row for each
    """The next action; a table of cases, read from the top."""
    lease = known.lease
    if known.status.is_terminal:
        return _wind_up(known, lease)
    if not _is_finished(lease) and (reason := _over_a_limit(known)) is not None:
        return Decision(Act.FAIL, reason)
    if lease is None:
        return Decision(Act.OPEN_LEASE)
    if not lease.open:
        return _next_attempt(known, lease)
    if not lease.machine_known:
        return Decision(Act.LAUNCH)
    if lease.has_gaps and lease.looked is not MachineState.TERMINATED:
        return _listen(known, lease)
    if _is_finished(lease):
        return Decision(Act.INGEST if known.ingest_failures < _INGEST_TRIES else Act.FAIL, _unverified(known))
    if lease.worker_end is JobStatus.FAILED:
        return _after_worker_failed(lease)
    if lease.looked is MachineState.TERMINATED:
        return Decision(Act.CLOSE_LEASE, EndReason.WORKER_LOST)
    return _listen(known, lease)


def _listen(known: Situation, lease: Lease) -> Decision:
    return Decision(Act.TERMINATE_MACHINE, EndReason.WORKER_LOST) if _is_silent(known, lease) else Decision(Act.PULL)


def _is_finished(lease: Lease | None) -> bool:
    """The run is done and only to be fetched, which is worth a little money over the cap."""
    if lease is None or not lease.open or lease.looked is MachineState.TERMINATED:
        return False
    return lease.worker_end is JobStatus.COMPLETED


def _wind_up(known: Situation, lease: Lease | None) -> Decision:
    """A finished job costs money until its machine is gone."""
    if lease is None or not lease.open:
        return Decision(Act.REST)
    if lease.looked is MachineState.TERMINATED:
        return Decision(Act.CLOSE_LEASE)
    wanted = known.export_until is not None and known.now < known.export_until
    may_have_one = lease.machine_known and lease.last_seen_at is not None
    return Decision(Act.EXPORT if wanted and may_have_one else Act.TERMINATE_MACHINE)


def _over_a_limit(known: Situation) -> EndReason | None:
    lease = known.lease
    if known.max_cost_usd is not None and lease is not None and lease.spent_usd >= known.max_cost_usd:
        return EndReason.BUDGET_REACHED
    if known.month_left_usd is not None and known.month_left_usd <= 0:
        return EndReason.BUDGET_REACHED
    begun, longest = known.running_since, known.max_duration
    if begun is not None and longest is not None and known.now - begun >= longest:
        return EndReason.TIME_LIMIT
    waits = lease is not None and lease.open and not lease.machine_known
    capacity = known.limits.capacity
    if waits and lease is not None and capacity is not None and known.now - lease.intended_at >= capacity:
        return EndReason.NO_CAPACITY
    return None


def _next_attempt(known: Situation, lease: Lease) -> Decision:
    if lease.number < known.limits.attempts:
        return Decision(Act.OPEN_LEASE)
    return Decision(Act.FAIL, lease.worker_reason or EndReason.WORKER_LOST)


def _after_worker_failed(lease: Lease) -> Decision:
    """A failure that another machine would meet too ends the job; an interruption only ends the machine."""
    if lease.worker_reason not in _WORTH_ANOTHER_TRY:
        return Decision(Act.FAIL, lease.worker_reason or EndReason.INTERNAL)
    return Decision(
        Act.CLOSE_LEASE if lease.looked is MachineState.TERMINATED else Act.TERMINATE_MACHINE, lease.worker_reason
    )


def _unverified(known: Situation) -> EndReason | None:
    return known.ingest_reason if known.ingest_failures >= _INGEST_TRIES else None


def _is_silent(known: Situation, lease: Lease) -> bool:
    if lease.last_seen_at is None:
        return known.now - lease.intended_at >= known.limits.launch
    return known.now - lease.last_seen_at >= known.limits.silence
