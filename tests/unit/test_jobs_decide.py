"""The table of cases, row by row: what is known about a job, and what is to be done next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from brightrun.compute.base import MachineState
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import IllegalTransition
from brightrun.jobs.decide import Act, Decision, Lease, ReconcileLimits, Situation, decide
from brightrun.jobs.transitions import may_follow, require_may_follow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEASE = Lease(
    number=1,
    open=True,
    machine_known=True,
    intended_at=NOW - timedelta(minutes=5),
    last_seen_at=NOW - timedelta(seconds=20),
    spent_usd=Decimal("0.40"),
    worker_end=None,
    worker_reason=None,
    looked=MachineState.RUNNING,
)
TRAINING = Situation(now=NOW, status=JobStatus.TRAINING, lease=LEASE)
CAPPED = replace(TRAINING, max_cost_usd=Decimal("0.40"))
TERMINATED = MachineState.TERMINATED
CLOSE = Decision(Act.CLOSE_LEASE)
WANTED = {"export_until": NOW + timedelta(seconds=1)}


def lease(**changes: object) -> Lease:
    return replace(LEASE, **changes)  # type: ignore[arg-type]


def known(status: JobStatus = JobStatus.TRAINING, lease: Lease | None = LEASE, **more: object) -> Situation:
    return replace(TRAINING, status=status, lease=lease, **more)  # type: ignore[arg-type]


CASES: list[tuple[str, Situation, Decision]] = [
    ("new", known(JobStatus.QUEUED, None), Decision(Act.OPEN_LEASE)),
    ("intent, no machine yet", known(JobStatus.PROVISIONING, lease(machine_known=False)), Decision(Act.LAUNCH)),
    ("running and heard", known(), Decision(Act.PULL)),
    ("machine unknown to provider for now", known(lease=lease(looked=MachineState.UNKNOWN)), Decision(Act.PULL)),
    ("machine gone", known(lease=lease(looked=TERMINATED)), Decision(Act.CLOSE_LEASE, EndReason.WORKER_LOST)),
    (
        "silent",
        known(lease=lease(last_seen_at=NOW - timedelta(minutes=11))),
        Decision(Act.TERMINATE_MACHINE, EndReason.WORKER_LOST),
    ),
    (
        "never heard, long ago",
        known(JobStatus.PROVISIONING, lease(last_seen_at=None, intended_at=NOW - timedelta(minutes=31))),
        Decision(Act.TERMINATE_MACHINE, EndReason.WORKER_LOST),
    ),
    (
        "silent for just as long as is allowed",
        known(lease=lease(last_seen_at=NOW - timedelta(minutes=10))),
        Decision(Act.TERMINATE_MACHINE, EndReason.WORKER_LOST),
    ),
    (
        "never heard, for just as long as is allowed",
        known(JobStatus.PROVISIONING, lease(last_seen_at=None, intended_at=NOW - timedelta(minutes=30))),
        Decision(Act.TERMINATE_MACHINE, EndReason.WORKER_LOST),
    ),
    ("lease closed, tries left", known(lease=lease(open=False)), Decision(Act.OPEN_LEASE)),
    ("lease closed, no try left", known(lease=lease(open=False, number=3)), Decision(Act.FAIL, EndReason.WORKER_LOST)),
    ("worker completed", known(lease=lease(worker_end=JobStatus.COMPLETED)), Decision(Act.INGEST)),
    (
        "worker completed, machine gone before its files were fetched: the next attempt finds or makes them",
        known(lease=lease(worker_end=JobStatus.COMPLETED, looked=TERMINATED)),
        Decision(Act.CLOSE_LEASE, EndReason.WORKER_LOST),
    ),
    (
        "worker completed, files never verify",
        known(lease=lease(worker_end=JobStatus.COMPLETED), ingest_failures=20),
        Decision(Act.FAIL, EndReason.ARTIFACT_UNVERIFIED),
    ),
    (
        "worker completed, files never verify, and why is known",
        known(lease=lease(worker_end=JobStatus.COMPLETED), ingest_failures=20, ingest_reason=EndReason.DISK_FULL),
        Decision(Act.FAIL, EndReason.DISK_FULL),
    ),
    (
        "worker completed, lines of it are missing",
        known(lease=lease(worker_end=JobStatus.COMPLETED, has_gaps=True)),
        Decision(Act.PULL),
    ),
    (
        "worker failed for good",
        known(lease=lease(worker_end=JobStatus.FAILED, worker_reason=EndReason.DATASET_REJECTED)),
        Decision(Act.FAIL, EndReason.DATASET_REJECTED),
    ),
    (
        "worker failed without a reason",
        known(lease=lease(worker_end=JobStatus.FAILED)),
        Decision(Act.FAIL, EndReason.INTERNAL),
    ),
    (
        "worker interrupted",
        known(lease=lease(worker_end=JobStatus.FAILED, worker_reason=EndReason.INTERRUPTED)),
        Decision(Act.TERMINATE_MACHINE, EndReason.INTERRUPTED),
    ),
    (
        "worker interrupted, machine gone",
        known(lease=lease(worker_end=JobStatus.FAILED, worker_reason=EndReason.INTERRUPTED, looked=TERMINATED)),
        Decision(Act.CLOSE_LEASE, EndReason.INTERRUPTED),
    ),
    ("cap reached", CAPPED, Decision(Act.FAIL, EndReason.BUDGET_REACHED)),
    ("below the cap", replace(CAPPED, max_cost_usd=Decimal("0.41")), Decision(Act.PULL)),
    (
        "time over",
        known(max_duration=timedelta(minutes=5), running_since=NOW - timedelta(minutes=5)),
        Decision(Act.FAIL, EndReason.TIME_LIMIT),
    ),
    (
        "waiting for a machine is no running",
        known(JobStatus.PROVISIONING, lease(machine_known=False), max_duration=timedelta(minutes=1)),
        Decision(Act.LAUNCH),
    ),
    ("month used up", known(month_left_usd=Decimal(0)), Decision(Act.FAIL, EndReason.BUDGET_REACHED)),
    ("month not used up", known(month_left_usd=Decimal("0.01")), Decision(Act.PULL)),
    (
        "month used up before the first machine",
        known(JobStatus.QUEUED, None, month_left_usd=Decimal("-1")),
        Decision(Act.FAIL, EndReason.BUDGET_REACHED),
    ),
    (
        "worker completed at the cap: what is finished is downloaded",
        replace(CAPPED, lease=lease(worker_end=JobStatus.COMPLETED)),
        Decision(Act.INGEST),
    ),
    (
        "worker completed at the cap, and its machine is gone",
        replace(CAPPED, lease=lease(worker_end=JobStatus.COMPLETED, looked=TERMINATED)),
        Decision(Act.FAIL, EndReason.BUDGET_REACHED),
    ),
    (
        "worker finished at its cap",
        known(lease=lease(worker_end=JobStatus.FAILED, worker_reason=EndReason.BUDGET_REACHED)),
        Decision(Act.FAIL, EndReason.BUDGET_REACHED),
    ),
    ("ended, an adapter is wanted", known(JobStatus.FAILED, **WANTED), Decision(Act.EXPORT)),
    ("cancelled, an adapter is wanted", known(JobStatus.CANCELLED, **WANTED), Decision(Act.EXPORT)),
    (
        "ended, an adapter is wanted, provider unsure",
        known(JobStatus.FAILED, lease(looked=MachineState.UNKNOWN), **WANTED),
        Decision(Act.EXPORT),
    ),
    (
        "ended, an adapter was wanted for too long",
        known(JobStatus.FAILED, export_until=NOW),
        Decision(Act.TERMINATE_MACHINE),
    ),
    (
        "ended, an adapter is wanted of a worker that never spoke",
        known(JobStatus.CANCELLED, lease(last_seen_at=None), **WANTED),
        Decision(Act.TERMINATE_MACHINE),
    ),
    (
        "ended, an adapter is wanted of a machine that is not known",
        known(JobStatus.CANCELLED, lease(machine_known=False), **WANTED),
        Decision(Act.TERMINATE_MACHINE),
    ),
    ("ended, an adapter is wanted, machine gone", known(JobStatus.FAILED, lease(looked=TERMINATED), **WANTED), CLOSE),
    (
        "ended, an adapter is wanted, lease closed",
        known(JobStatus.FAILED, lease(open=False), **WANTED),
        Decision(Act.REST),
    ),
    (
        "no machine for too long",
        known(
            JobStatus.PROVISIONING,
            lease(machine_known=False, intended_at=NOW - timedelta(hours=2)),
            limits=ReconcileLimits(capacity=timedelta(hours=2)),
        ),
        Decision(Act.FAIL, EndReason.NO_CAPACITY),
    ),
    (
        "waiting for its turn on the one device",
        known(JobStatus.PROVISIONING, lease(machine_known=False, intended_at=NOW - timedelta(days=2))),
        Decision(Act.LAUNCH),
    ),
    ("ended, machine runs on", known(JobStatus.CANCELLED), Decision(Act.TERMINATE_MACHINE)),
    (
        "ended, provider unsure",
        known(JobStatus.FAILED, lease(looked=MachineState.UNKNOWN)),
        Decision(Act.TERMINATE_MACHINE),
    ),
    ("ended, machine gone", known(JobStatus.COMPLETED, lease(looked=TERMINATED)), Decision(Act.CLOSE_LEASE)),
    ("ended, lease closed", known(JobStatus.COMPLETED, lease(open=False)), Decision(Act.REST)),
    ("cancelled before any lease", known(JobStatus.CANCELLED, None), Decision(Act.REST)),
]


@pytest.mark.parametrize(("situation", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_case(situation: Situation, expected: Decision) -> None:
    assert decide(situation) == expected


def test_a_job_that_ended_is_only_wound_up() -> None:
    """Whatever else is known, a finished job never launches, pulls or fails again."""
    ends = [None, JobStatus.COMPLETED, JobStatus.FAILED]
    for status, looked, end, is_open in product(JobStatus, [None, *MachineState], ends, [True, False]):
        if not status.is_terminal:
            continue
        decision = decide(known(status, lease(looked=looked, worker_end=end, open=is_open), max_cost_usd=Decimal(0)))
        assert decision.act in ({Act.TERMINATE_MACHINE, Act.CLOSE_LEASE} if is_open else {Act.REST})


def test_every_situation_has_an_answer() -> None:
    for status, looked, end, reason in product(
        JobStatus, [None, *MachineState], [None, JobStatus.COMPLETED, JobStatus.FAILED], [None, *EndReason]
    ):
        assert isinstance(decide(known(status, lease(looked=looked, worker_end=end, worker_reason=reason))).act, Act)


def test_terminal_states_never_change() -> None:
    for now, then in product(JobStatus, JobStatus):
        if now.is_terminal:
            assert not may_follow(now, then)


@pytest.mark.parametrize(
    ("now", "then", "allowed"),
    [
        (JobStatus.QUEUED, JobStatus.TRAINING, True),
        (JobStatus.TRAINING, JobStatus.PROVISIONING, True),
        (JobStatus.TRAINING, JobStatus.MODEL_LOADED, False),
        (JobStatus.TRAINING, JobStatus.PREPROCESSING, False),
        (JobStatus.TRAINING, JobStatus.COMPLETED, False),
        (JobStatus.UPLOADING, JobStatus.COMPLETED, True),
        (JobStatus.QUEUED, JobStatus.QUEUED, False),
        (JobStatus.QUEUED, JobStatus.CANCELLED, True),
        (JobStatus.UPLOADING, JobStatus.FAILED, True),
    ],
)
def test_moves(now: JobStatus, then: JobStatus, *, allowed: bool) -> None:
    assert may_follow(now, then) is allowed


def test_a_refused_move_says_where_the_job_is() -> None:
    with pytest.raises(IllegalTransition) as caught:
        require_may_follow(JobStatus.CANCELLED, JobStatus.COMPLETED)
    assert caught.value.details["status"] == "cancelled"
    assert caught.value.http_status == 409
