"""Stories of jobs on simulated machines: what the owner sees, what is paid, and that nothing stays behind."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brightrun.compute.base import MachineRequest
from brightrun.compute.simulated.faults import FaultPlan
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, events, metrics
from brightrun.errors import IllegalTransition, NotFound
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.observe import running_cost
from brightrun.jobs.reap import Reaped, reap
from brightrun.jobs.reconcile import reconcile_once
from tests.studio_world import OWNER, World


def first_machine(**faults: object) -> object:
    """Something befalls the first machine of every job, nothing the later ones."""

    def script(request: MachineRequest) -> FaultPlan:
        return FaultPlan(**faults) if request.attempt == 1 else FaultPlan()  # type: ignore[arg-type]

    return script


def test_a_job_runs_to_its_verified_adapter(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")

    world.live(until=world.at_rest)

    job = world.job("job-1")
    assert (job.status, job.reason, job.current_step) == (JobStatus.COMPLETED, None, job.total_steps)
    (lease,) = world.leases("job-1")
    assert lease.ended_at is not None
    assert job.actual_cost_usd == lease.cost_usd
    assert job.message == "A simulated run: nothing was trained.", "the worker's own last word"
    assert job.lora_artifact_path == "lora_adapters/job-1/"
    with world.database.reading() as session:
        rows = artifacts.list_for_job(session, "job-1")
        adapter = next(row for row in rows if row.artifact_type == "lora_adapter")
        curve = metrics.series(session, "job-1", "train")
        told = [event.status for event in events.list_after(session, "job-1") if event.kind == "status"]
    assert world.storage.stat(adapter.storage_path) is not None
    assert [point.step for point in curve] == list(range(1, 13))
    assert told[:2] == [JobStatus.PROVISIONING, JobStatus.PREPROCESSING]
    assert told[-1] is JobStatus.COMPLETED
    assert world.simulated.list_managed() == []


def test_cancel_ends_the_machine_and_later_news_change_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    world.live(until=lambda: world.job("job-1").status is JobStatus.TRAINING)

    cancelled = cancel_job(world.studio, owner_id=OWNER, job_id="job-1")
    assert cancelled.status is JobStatus.CANCELLED
    assert cancelled.reason is EndReason.CANCELLED_BY_USER
    world.live(until=world.at_rest)

    assert world.job("job-1").status is JobStatus.CANCELLED
    assert world.simulated.list_managed() == []
    assert all(lease.ended_at is not None for lease in world.leases("job-1"))
    assert cancel_job(world.studio, owner_id=OWNER, job_id="job-1").status is JobStatus.CANCELLED


def test_cancel_before_anything_was_launched_costs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    cancel_job(world.studio, owner_id=OWNER, job_id="job-1")
    world.live(until=world.at_rest)
    assert world.simulated.machines() == []
    assert world.job("job-1").actual_cost_usd is None


def test_somebody_elses_job_is_not_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    with pytest.raises(NotFound):
        cancel_job(world.studio, owner_id="somebody else", job_id="job-1")
    assert world.job("job-1").status is JobStatus.QUEUED


def test_a_completed_job_cannot_be_cancelled(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    world.live(until=world.at_rest)
    with pytest.raises(IllegalTransition) as caught:
        cancel_job(world.studio, owner_id=OWNER, job_id="job-1")
    assert caught.value.details["status"] == "completed"


@pytest.mark.parametrize(
    "fault",
    [
        {"dies_at_step": 5},
        {"never_boots": True},
        {"answers_lost": 1},
        {"silent_from_step": 4},
        {"silent_from_step": 4, "silent_for": timedelta(minutes=3)},
        {"refusals": 3},
        {"fails_at_step": 3, "fails_with": EndReason.INTERRUPTED},
        {"ignored_terminations": 2, "polls_until_terminated": 3},
    ],
    ids=str,
)
def test_a_job_survives(fault: dict[str, object], tmp_path: Path) -> None:
    world = World(tmp_path, script=first_machine(**fault))  # type: ignore[arg-type]
    world.add_job("job-1")
    world.live(until=world.at_rest)

    assert world.job("job-1").status is JobStatus.COMPLETED
    assert world.simulated.list_managed() == []
    assert all(lease.ended_at is not None for lease in world.leases("job-1"))
    assert all(world.simulated.launched(lease.machine_name) == 1 for lease in world.leases("job-1"))


def test_a_failure_that_another_machine_would_meet_too_ends_the_job(tmp_path: Path) -> None:
    world = World(tmp_path, script=lambda _: FaultPlan(fails_at_step=2, fails_with=EndReason.OUT_OF_MEMORY))
    world.add_job("job-1")
    world.live(until=world.at_rest)
    job = world.job("job-1")
    assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.OUT_OF_MEMORY)
    assert job.hint
    assert len(world.leases("job-1")) == 1


def test_three_lost_machines_are_enough(tmp_path: Path) -> None:
    world = World(tmp_path, script=lambda _: FaultPlan(dies_at_step=1))
    world.add_job("job-1")
    world.live(until=world.at_rest)
    job = world.job("job-1")
    assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.WORKER_LOST)
    assert len(world.leases("job-1")) == 3


def test_the_cap_stops_a_job(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1", max_cost_usd="0.10")
    world.live(until=world.at_rest)
    job = world.job("job-1")
    assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.BUDGET_REACHED)
    assert job.actual_cost_usd is not None
    # 0.10 at 3.60 an hour are 100 seconds; a look every 15 seconds and one more for the end may come on top.
    assert Decimal("0.10") <= job.actual_cost_usd <= Decimal("0.16")


def test_jobs_wait_their_turn_on_one_machine(tmp_path: Path) -> None:
    world = World(tmp_path, capacity=1)
    for number in range(3):
        world.add_job(f"job-{number}")
    world.live(until=world.at_rest)
    assert [world.job(f"job-{number}").status for number in range(3)] == [JobStatus.COMPLETED] * 3


def test_a_job_that_never_gets_a_machine_says_so(tmp_path: Path) -> None:
    limits = ReconcileLimits(poll=timedelta(seconds=15), capacity=timedelta(hours=1))
    world = World(tmp_path, capacity=0, limits=limits)
    world.add_job("job-1")
    world.live(until=world.at_rest, seconds=60)
    assert world.job("job-1").reason is EndReason.NO_CAPACITY


def test_a_studio_that_died_between_intent_and_answer_finds_its_machine_by_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    launch = world.simulated.launch

    def launch_and_die(request: MachineRequest) -> object:
        launch(request)
        world.simulated.launch = launch  # type: ignore[method-assign]
        raise KeyboardInterrupt

    world.simulated.launch = launch_and_die  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        reconcile_once(world.studio, owner="the one that dies")
    world.studio = world.reborn()
    world.live(until=world.at_rest)

    assert world.job("job-1").status is JobStatus.COMPLETED
    (lease,) = world.leases("job-1")
    assert world.simulated.launched(lease.machine_name) == 1


def test_the_reaper_ends_what_no_lease_pays_for_and_leaves_other_machines_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    world.live(until=world.at_rest)
    forgotten = MachineRequest(name="train-job-1-1", job_id="job-1", attempt=1)
    stranger = MachineRequest(name="train-elsewhere-1", job_id="elsewhere", attempt=1)
    world.simulated.launch(forgotten)
    world.simulated.launch(stranger)

    assert reap(world.studio) == Reaped(ended=("train-job-1-1",), unknown=("train-elsewhere-1",))

    for machine in world.simulated.machines():
        world.simulated.get(machine.id)
    assert [machine.name for machine in world.simulated.list_managed()] == ["train-elsewhere-1"]


def test_the_reaper_leaves_a_running_job_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    world.live(until=lambda: world.job("job-1").status is JobStatus.TRAINING)
    assert reap(world.studio) == Reaped(ended=(), unknown=())
    assert len(world.simulated.list_managed()) == 1


def test_a_machine_without_a_price_has_no_cost_rather_than_none_to_pay(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    world.live(until=lambda: world.job("job-1").status is JobStatus.TRAINING)
    (lease,) = world.leases("job-1")
    lease.price_usd_per_hour = None
    assert running_cost(lease, world.clock()) is None
    lease.launched_at = None
    assert running_cost(lease, world.clock()) == 0
