"""Stories of money on simulated machines: caps, months, warnings, and the adapter that is kept of what was paid for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brightrun.compute.base import MachineRequest
from brightrun.compute.simulated.faults import FaultPlan
from brightrun.contract.messages import EventBatch
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, budgets, events, jobs
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.export_on_stop import EXPORTED, NOT_EXPORTED
from brightrun.jobs.reconcile import reconcile_once
from brightrun.jobs.record_event import record_events
from brightrun.jobs.warn_budget import WARNING
from tests.studio_world import OWNER, World

JOB = "job-1"
USD = Decimal
# A simulated machine costs 3.60 USD an hour, a tenth of a cent a second. It boots for 30 s and loads for 20 s, then a
# step takes 10 s: step n ends after 50 + 10 n seconds, and a whole run of 12 steps costs 20 cents.


def training(tmp_path: Path, *, steps: int = 1, poll: float = 1, **job: Any) -> World:
    """A world in which a job has made so many steps, and the studio knows."""
    world = World(tmp_path, limits=ReconcileLimits(poll=timedelta(seconds=poll)))
    world.add_job(JOB, **job)
    world.live(until=lambda: (world.job(JOB).current_step or 0) >= steps, seconds=1)
    return world


def told(world: World, code: str) -> list[dict[str, Any]]:
    with world.database.reading() as session:
        every = events.list_after(session, JOB)
    return [event.data for event in every if event.data.get("code") == code]


def names(world: World) -> dict[str, str]:
    """The job's stored files: name and kind."""
    with world.database.reading() as session:
        return {row.name: row.artifact_type for row in artifacts.list_for_job(session, JOB)}


def assert_partial_adapter(world: World) -> None:
    assert names(world)["adapter/adapter_model.safetensors"] == "partial_adapter"
    job = world.job(JOB)
    assert (job.lora_artifact_path, job.export_until) == (f"lora_adapters/{JOB}/", None)
    assert len(told(world, EXPORTED)) == 1
    assert told(world, NOT_EXPORTED) == []
    assert world.simulated.list_managed() == []


def assert_no_adapter(world: World, why: str) -> None:
    assert not any(name.startswith("adapter/") for name in names(world))
    job = world.job(JOB)
    assert (job.lora_artifact_path, job.export_until) == (None, None)
    with world.database.reading() as session:
        (said,) = (e.message for e in events.list_after(session, JOB) if e.data.get("code") == NOT_EXPORTED)
    assert why in (said or "")
    assert world.simulated.list_managed() == []


def test_at_its_cap_a_job_stops_and_its_adapter_comes_home(tmp_path: Path) -> None:
    """0.10 USD last 100 seconds: five steps are made by then, and the one that ends at the limit is not begun."""
    world = World(tmp_path, limits=ReconcileLimits(poll=timedelta(seconds=1)))
    world.add_job(JOB, max_cost_usd="0.10")
    world.live(until=world.at_rest, seconds=1)
    job = world.job(JOB)
    assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.BUDGET_REACHED)
    assert job.hint == EndReason.BUDGET_REACHED.text.hint
    assert job.current_step == 4
    assert job.actual_cost_usd is not None
    assert job.actual_cost_usd <= USD("0.10")
    assert_partial_adapter(world)


def test_a_dead_studio_does_not_overspend(tmp_path: Path) -> None:
    """Nobody looks for an hour; the worker stopped by itself, and its adapter is downloaded afterwards."""
    world = training(tmp_path, max_cost_usd="0.10")
    world.clock.turn(3600)
    machine = world.simulated.machines()[-1]
    end = world.simulated.event_log(machine.machine_request.name)[-1]
    assert (end.kind, end.reason) == ("end", EndReason.BUDGET_REACHED)
    paid = USD("3.60") * USD((end.timestamp - machine.launched_at).total_seconds()) / 3600
    assert USD("0.09") <= paid <= USD("0.10")
    world.live(until=world.at_rest, seconds=1)
    assert world.job(JOB).reason is EndReason.BUDGET_REACHED
    assert_partial_adapter(world)


def test_a_cap_counts_over_all_attempts(tmp_path: Path) -> None:
    """The first machine dies at step 4 after 90 s; the second may cost what is left of 0.15 USD, not 0.15 anew."""

    def script(request: MachineRequest) -> FaultPlan:
        return FaultPlan(dies_at_step=4) if request.attempt == 1 else FaultPlan()

    world = World(tmp_path, script=script, limits=ReconcileLimits(poll=timedelta(seconds=1)))
    world.add_job(JOB, max_cost_usd="0.15")
    world.live(until=world.at_rest, seconds=1)
    job, (first, second) = world.job(JOB), world.leases(JOB)
    assert job.reason is EndReason.BUDGET_REACHED
    assert first.cost_usd is not None
    assert first.cost_usd >= USD("0.09")
    assert second.cost_usd is not None
    assert first.cost_usd + second.cost_usd <= USD("0.15") + USD("0.01")
    request = world.simulated.machines()[-1].request
    assert request is not None
    assert request.max_cost_usd == USD("0.15") - first.cost_usd


def test_a_time_limit_stops_a_job_and_counts_from_the_first_machine(tmp_path: Path) -> None:
    world = World(tmp_path, capacity=0, limits=ReconcileLimits(poll=timedelta(seconds=1)))
    world.add_job(JOB, max_hours=100 / 3600)
    for _ in range(30):  # ten minutes without a machine do not count
        reconcile_once(world.studio, owner="studio")
        world.clock.turn(20)
    world.simulated._capacity = 1
    world.live(until=world.at_rest, seconds=1)
    job = world.job(JOB)
    assert (job.reason, job.current_step) == (EndReason.TIME_LIMIT, 4)
    assert_partial_adapter(world)


def test_warnings_are_told_once_each(tmp_path: Path) -> None:
    world = World(tmp_path, limits=ReconcileLimits(poll=timedelta(seconds=1)))
    world.add_job(JOB, max_cost_usd="0.10")
    world.live(until=world.at_rest, seconds=1)
    warnings = told(world, WARNING)
    assert [(each["of"], each["percent"]) for each in warnings] == [("job", 50), ("job", 80), ("job", 100)]
    assert 0.05 <= warnings[0]["spent_usd"] < 0.06
    assert warnings[0]["limit_usd"] == 0.10


def test_levels_passed_between_two_looks_are_told_each(tmp_path: Path) -> None:
    """A look every 120 seconds finds 0.12 USD spent of 0.10: all three levels were passed."""
    world = World(tmp_path, limits=ReconcileLimits(poll=timedelta(seconds=1)))
    world.add_job(JOB, max_cost_usd="0.10")
    world.live(until=world.at_rest, seconds=120)
    assert [(each["of"], each["percent"]) for each in told(world, WARNING)] == [("job", 50), ("job", 80), ("job", 100)]


def test_a_job_that_stays_far_below_its_cap_hears_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job(JOB, max_cost_usd="9")
    world.live(until=world.at_rest)
    assert world.job(JOB).status is JobStatus.COMPLETED
    assert told(world, WARNING) == []


def test_the_month_is_kept_over_all_jobs_and_warned_of_once(tmp_path: Path) -> None:
    """Two jobs at a tenth of a cent a second each use 0.20 USD up in 100 seconds."""
    world = World(tmp_path, limits=ReconcileLimits(poll=timedelta(seconds=1)))
    world.studio = replace(world.studio, monthly_budget_usd=USD("0.20"))
    for name in (JOB, "job-2"):
        world.add_job(name)
    world.live(until=world.at_rest, seconds=1)
    for name in (JOB, "job-2"):
        job = world.job(name)
        assert (job.reason, job.message) == (EndReason.BUDGET_REACHED, "The budget of this month is used up.")
        assert "month" in (job.hint or "")
    with world.database.reading() as session:
        every = [e for name in (JOB, "job-2") for e in events.list_after(session, name)]
    warnings = [e.data for e in every if e.data.get("code") == WARNING]
    assert sorted((each["of"], each["percent"]) for each in warnings) == [("month", 50), ("month", 80), ("month", 100)]
    assert names(world)["adapter/adapter_model.safetensors"] == "partial_adapter"
    spent = sum((world.job(name).actual_cost_usd or USD(0) for name in (JOB, "job-2")), USD(0))
    assert USD("0.20") <= spent <= USD("0.20") + 2 * USD("0.02")


def test_a_new_month_begins_anew(tmp_path: Path) -> None:
    world = World(tmp_path, limits=ReconcileLimits(poll=timedelta(seconds=60)))
    with world.database.session() as session:
        budgets.save(session, OWNER, monthly_budget_usd=USD("0.15"), default_job_cap_usd=None, now=world.clock())
    world.add_job(JOB)
    world.live(until=world.at_rest)
    assert world.job(JOB).reason is EndReason.BUDGET_REACHED
    world.clock.turn(10 * 24 * 3600)
    world.add_job("job-2")
    world.live(until=world.at_rest)
    with world.database.reading() as session:
        told_now = [e.data["percent"] for e in events.list_after(session, "job-2") if e.data.get("code") == WARNING]
    assert told_now[0] in {50, 80}
    assert world.job("job-2").reason is EndReason.BUDGET_REACHED


def test_canceling_may_keep_what_was_trained(tmp_path: Path) -> None:
    world = training(tmp_path, steps=5)
    cancelled = cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True)
    assert cancelled.status is JobStatus.CANCELLED
    assert cancelled.export_until is not None
    world.live(until=world.at_rest, seconds=1)
    assert (world.job(JOB).status, world.job(JOB).reason) == (JobStatus.CANCELLED, EndReason.CANCELLED_BY_USER)
    assert_partial_adapter(world)
    end = world.simulated.event_log(world.leases(JOB)[0].machine_name)[-1]
    assert (end.kind, end.reason, end.data.known()["kept_step"]) == ("end", EndReason.CANCELLED_BY_USER, 6)
    with world.database.reading() as session:
        kinds = [event.kind for event in events.list_after(session, JOB)]
    assert "end" in kinds, "the event log's last lines came home too"


def test_a_plain_cancel_waits_for_nothing(tmp_path: Path) -> None:
    world = training(tmp_path, steps=5)
    assert cancel_job(world.studio, owner_id=OWNER, job_id=JOB).export_until is None
    before = world.clock()
    world.live(until=world.at_rest, seconds=1)
    assert world.clock() - before <= timedelta(seconds=5)
    assert not any(name.startswith("adapter/") for name in names(world))


def test_cancelled_before_any_step_there_is_nothing_to_keep(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job(JOB)
    assert cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True).export_until is None
    world.live(until=world.at_rest)
    assert world.leases(JOB) == []


def test_a_studio_that_dies_goes_on_keeping(tmp_path: Path) -> None:
    """The wish is in the row: another process, which heard nothing of it, brings the adapter home."""
    world = training(tmp_path, steps=5)
    cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True)
    reconcile_once(world.studio, owner="studio")
    world.studio = world.reborn()
    world.clock.turn(400 - 200)
    world.live(until=world.at_rest, seconds=1)
    assert_partial_adapter(world)


def test_what_does_not_come_in_time_is_given_up(tmp_path: Path) -> None:
    world = World(
        tmp_path, script=lambda _: FaultPlan(silent_from_step=6), limits=ReconcileLimits(poll=timedelta(seconds=1))
    )
    world.add_job(JOB)
    world.live(until=lambda: (world.job(JOB).current_step or 0) >= 5, seconds=1)
    world.clock.turn(15)
    cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True)
    before = world.clock()
    world.live(until=world.at_rest, seconds=1)
    patience = world.limits.export_on_stop
    assert patience <= world.clock() - before <= patience + timedelta(seconds=5)
    assert_no_adapter(world, "in time")


def test_a_machine_that_is_gone_keeps_nothing(tmp_path: Path) -> None:
    world = training(tmp_path, steps=5)
    cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True)
    world.simulated.machines()[-1].gone_at = world.clock()
    world.live(until=world.at_rest, seconds=1)
    assert_no_adapter(world, "gone")


def test_an_adapter_of_another_run_is_not_taken(tmp_path: Path) -> None:
    world = training(tmp_path, steps=5)
    cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True)
    with world.database.session() as session:
        spec = world.job(JOB).spec
        jobs.change_if(session, JOB, expected=list(JobStatus), spec={**spec, "recipe": "another"})
    world.live(until=world.at_rest, seconds=1)
    assert_no_adapter(world, "in time")


def test_a_webhook_is_told_to_keep_the_adapter(tmp_path: Path) -> None:
    world = training(tmp_path, steps=5)
    lease = world.leases(JOB)[0]
    updates = EventBatch.alive(JOB, 1, lease.machine_name, last=None, at=world.clock())
    assert record_events(world.database, updates, now=world.clock()).export_on_stop is False
    cancel_job(world.studio, owner_id=OWNER, job_id=JOB, export_on_stop=True)
    reply = record_events(world.database, updates, now=world.clock())
    assert (reply.continue_, reply.export_on_stop, reply.reason) == (False, True, "cancelled_by_user")


@pytest.mark.parametrize("at_step", [None, 12])
def test_a_run_that_is_done_at_its_cap_is_brought_home(tmp_path: Path, at_step: int | None) -> None:
    """The run costs 0.20 USD; a studio that sleeps past the cap of 0.21 collects the finished run all the same."""
    world = training(tmp_path, steps=at_step or 1, max_cost_usd="0.21")
    world.clock.turn(600)
    world.live(until=world.at_rest, seconds=1)
    assert world.job(JOB).status is JobStatus.COMPLETED
