"""What an act leaves to do, and that every act that may be decided is carried out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from brightrun.database import jobs
from brightrun.jobs.claim import Claim
from brightrun.jobs.decide import Act, Decision, decide
from brightrun.jobs.observe import observe
from brightrun.jobs.outcome import Again, Outcome, Settled, Wait
from brightrun.jobs.reconcile import CLAIM_DURATION, reconcile_once
from brightrun.jobs.reconcile_pass import ReconcilePass
from tests.studio_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def a_pass(world: World, job_id: str) -> ReconcilePass:
    with world.database.session() as session:
        (claimed,) = jobs.claim_due(session, owner="test", now=world.clock(), lease=CLAIM_DURATION, limit=1)
    assert claimed.job.id == job_id
    return ReconcilePass(world.studio, observe(world.studio, job_id), Claim(world.studio, claimed, CLAIM_DURATION))


def test_a_new_job_opens_its_lease_and_is_looked_at_again(world: World) -> None:
    world.add_job("job-1")
    here = a_pass(world, "job-1")
    assert here.apply(decide(observe(world.studio, "job-1").situation)) == Again()
    (lease,) = world.leases("job-1")
    assert (lease.number, lease.machine_id) == (1, None)


def test_there_is_a_method_for_every_act(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """None of them falls through to another one's."""
    world.add_job("job-1")
    done: list[str] = []

    def noted(name: str) -> Any:
        def act(*_: object, **__: object) -> Outcome:
            done.append(name)
            return Again()

        return act

    names = {
        Act.OPEN_LEASE: "open_lease", Act.LAUNCH: "launch", Act.PULL: "pull", Act.INGEST: "ingest",
        Act.TERMINATE_MACHINE: "terminate_machine", Act.CLOSE_LEASE: "close_lease", Act.FAIL: "fail",
    }  # fmt: skip
    for name in names.values():
        monkeypatch.setattr(ReconcilePass, name, noted(name))
    here = a_pass(world, "job-1")
    for act, name in names.items():
        assert here.apply(Decision(act)) == Again()
        assert done.pop() == name
    assert here.apply(Decision(Act.REST)) == Settled()
    assert set(Act) == {*names, Act.EXPORT, Act.REST}


def test_only_what_is_settled_is_never_due_again(world: World) -> None:
    world.add_job("job-1")
    world.live(until=world.at_rest)
    assert world.job("job-1").next_check_at is None
    world.add_job("job-2")
    reconcile_once(world.studio, owner="test")
    assert world.job("job-2").next_check_at == world.clock() + world.studio.limits.poll


def test_outcomes_differ() -> None:
    assert len({Again(), Settled(), Wait(timedelta(seconds=1)), Wait(timedelta(seconds=2))}) == 4
