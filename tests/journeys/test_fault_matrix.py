"""Every state a job can be in × everything that may befall it then: the same adapter bits, or the right reason."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brightrun.compute.simulated.script import Pace
from brightrun.contract.events import Event
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, events, metrics
from brightrun.errors import NotEnoughDisk
from tests.faults import FAULTS, JOB, STATES, WITH_MACHINE, WITH_PROCESS, Fault, FaultyWorld
from tests.studio_world import OWNER

CELLS = [(fault, state) for fault in FAULTS for state in fault.states]
RAN: set[tuple[str, JobStatus]] = set()
_LATER = 4
# Studio killed 3 ways, database locked 2, storage 2; worker server killed 2 ways; training killed 2 ways, 4 ways of a
# webhook to go wrong, a worker's disk full.
EXPECTED = 7 * len(STATES) + 2 * len(WITH_MACHINE) + 7 * len(WITH_PROCESS)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FaultyWorld]:
    made = FaultyWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """sha256 of the adapter of a job that nothing happened to."""
    calm = FaultyWorld(tmp_path_factory.mktemp("undisturbed"))
    calm.until(calm.ended)
    assert len(calm.leases(JOB)) == 1
    digest = stored_adapter(calm)
    calm.close()
    return digest


@pytest.mark.parametrize(("fault", "state"), CELLS, ids=lambda part: getattr(part, "name", str(part)))
def test_a_job_ends_well_or_says_why(fault: Fault, state: JobStatus, world: FaultyWorld, undisturbed: str) -> None:
    world.until(lambda: world.job(JOB).status is state)
    fault.inject(world)
    world.until(world.ended)

    assert fault.struck(world, state), "nothing befell this job"
    if fault.reason is None:
        assert_completed(world, undisturbed)
    else:
        assert_failed(world, fault.reason)
    assert_nothing_stays_behind(world)
    assert_nothing_changes_any_more(world)
    RAN.add((fault.name, state))


def test_a_store_that_is_down_for_30_s_when_the_studio_asks_every_second(tmp_path: Path, undisturbed: str) -> None:
    """The patience with a store is more than 30 seconds, however often it is tried."""
    world = FaultyWorld(tmp_path, poll=1)
    world.until(lambda: world.job(JOB).status is JobStatus.UPLOADING, seconds=1)
    ends_at = world.newest_machine().script[-1].timestamp
    world.until(lambda: world.clock() + timedelta(seconds=1) >= ends_at, seconds=1)
    next(fault for fault in FAULTS if fault.name == "storage failing for 30 s").inject(world)
    world.until(world.ended, seconds=1)

    assert world.faulty is not None
    assert world.faulty.refusals >= 4  # after 0, 2, 6 and 14 seconds: it is asked ever more rarely
    assert_completed(world, undisturbed)
    world.close()


def test_an_end_that_comes_long_before_what_was_before_it(tmp_path: Path, undisturbed: str) -> None:
    """However many lines are stored after the end's, it stays the end."""
    world = FaultyWorld(tmp_path, pace=Pace(boot=10, step=1, steps=100))
    world.until(lambda: world.job(JOB).status is JobStatus.MODEL_LOADED)
    world.clock.turn(200)
    *before, end = world.simulated.event_log(world.leases(JOB)[-1].machine_name)
    assert end.kind == "end"
    assert len(before) > 100
    for told in ([end], before):
        world.push(1, told)
    world.until(world.ended, ticks=100)
    assert_completed(world, undisturbed)
    world.close()


def test_a_studio_whose_own_disk_cannot_be_written_gives_up_and_ends_the_machine(world: FaultyWorld) -> None:
    """An error of the system's, not one of ours: it must not go on, and cost, for ever."""
    world.until(lambda: world.job(JOB).status is JobStatus.UPLOADING)
    world.home = Path("/proc")  # where nothing can be made, whoever one is
    world.studio = world.another_studio()
    world.until(world.ended, ticks=2000)
    assert world.job(JOB).reason is EndReason.ARTIFACT_UNVERIFIED
    assert "Downloading the files failed" in (world.job(JOB).message or "")
    assert world.simulated.list_managed() == []


def test_the_count(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    names = {(fault.name, state) for fault, state in CELLS}
    assert len(names) == len(CELLS) == EXPECTED
    wanted = [item for item in request.session.items if item.name.startswith(test_a_job_ends_well_or_says_why.__name__)]
    if os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") == "1":  # otherwise other processes ran some
        assert len(RAN) == len(wanted)
    with capsys.disabled():
        print(f"\nfault matrix: {len(RAN)} of {len(CELLS)} cells ({len(FAULTS)} faults, {len(STATES)} states) ran here")


def assert_completed(world: FaultyWorld, undisturbed: str) -> None:
    job = world.job(JOB)
    assert (job.status, job.reason, job.hint) == (JobStatus.COMPLETED, None, None), job.message
    assert job.current_step == job.total_steps == world.pace.steps
    assert stored_adapter(world) == undisturbed
    with world.database.reading() as session:
        curve = metrics.series(session, JOB, "train")
        known = events.acknowledged(session, JOB, job.attempt)
    assert [point.step for point in curve] == list(range(1, world.pace.steps + 1))
    assert known >= len(delivering_event_log(world)), "a line of the event log never came home"


def delivering_event_log(world: FaultyWorld) -> tuple[Event, ...]:
    return world.simulated.event_log(world.leases(JOB)[-1].machine_name)


def assert_failed(world: FaultyWorld, reason: EndReason) -> None:
    job = world.job(JOB)
    assert (job.status, job.reason) == (JobStatus.FAILED, reason), job.message
    assert job.lora_artifact_path is None
    # What the worker said of its own disk, or what the store said of its.
    assert job.hint in {reason.text.hint, NotEnoughDisk.default_hint}
    assert job.message
    with world.database.reading() as session:
        assert artifacts.list_for_job(session, JOB) == []


def stored_adapter(world: FaultyWorld) -> str:
    """sha256 of the adapter's bytes as the store gives them back, which is the one that was recorded."""
    with world.database.reading() as session:
        (row,) = (row for row in artifacts.list_for_job(session, JOB) if row.artifact_type == "lora_adapter")
    assert row.owner_id == OWNER
    with world.storage.open(row.storage_path) as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    assert digest == row.sha256
    return digest


def assert_nothing_stays_behind(world: FaultyWorld) -> None:
    assert world.simulated.list_managed() == []
    leases = world.leases(JOB)
    assert all(lease.ended_at is not None for lease in leases)
    assert all(world.simulated.launched(lease.machine_name) == 1 for lease in leases)
    assert world.job(JOB).actual_cost_usd == sum((lease.cost_usd or Decimal(0) for lease in leases), Decimal(0))
    assert list(world.home.glob(".collecting-*")) == []


def assert_nothing_changes_any_more(world: FaultyWorld) -> None:
    """Late and repeated events, and other studios that look, leave a job that ended as it is."""
    before = facts(world)
    replies = world.push_everything_again()
    assert replies or world.job(JOB).status is JobStatus.FAILED
    assert not any(reply.continue_ for reply in replies)
    for _ in range(_LATER):
        world.tick(200)
    assert facts(world) == before
    assert world.ended()


def facts(world: FaultyWorld) -> tuple[object, ...]:
    job = world.job(JOB)
    return (
        *(job.status, job.reason, job.message, job.hint, job.completed_at, job.actual_cost_usd, job.current_step),
        *(lease.ended_at for lease in world.leases(JOB)),
    )
