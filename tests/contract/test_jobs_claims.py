"""A reconciler keeps a job for as long as it acts on it, and no job behind it, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from brightrun.compute.base import Compute, Machine, MachineRequest
from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.errors import ClaimLost
from brightrun.jobs.claim import Claim
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.reconcile import CLAIM_DURATION, reconcile_once
from brightrun.jobs.studio import Studio
from tests.contract.postgres import give_database_url, give_postgres_server, give_postgres_url  # noqa: F401
from tests.studio_world import World

LIMITS = ReconcileLimits(poll=timedelta(minutes=20), silence=timedelta(hours=2), launch=timedelta(hours=2))
JOBS = 20


class SlowCompute:
    """Tells `called` of every launch, before it is made."""

    def __init__(self, compute: Compute, called: Callable[[str], None]) -> None:
        self._compute, self._called = compute, called
        self.name, self.supports_spot, self.shares_disk = compute.name, compute.supports_spot, compute.shares_disk
        self.find, self.get, self.terminate, self.list_managed = (
            compute.find,
            compute.get,
            compute.terminate,
            compute.list_managed,
        )

    def launch(self, request: MachineRequest) -> Machine:
        self._called(request.job_id)
        return self._compute.launch(request)


class SlowNetwork(httpx.BaseTransport):
    """Tells `called` of every request to a worker, once it is answered."""

    def __init__(self, inner: httpx.BaseTransport, called: Callable[[str], None]) -> None:
        self._inner, self._called = inner, called

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        self._called(request.url.path)
        return response


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, database_url=database_url, limits=LIMITS)
    yield made
    made.database.close()


def with_launches(world: World, called: Callable[[str], None]) -> Studio:
    return replace(world.studio, computes={"simulated": SlowCompute(world.simulated, called)})


def test_a_pass_over_20_slow_jobs_outlasts_no_claim(world: World) -> None:
    """Each launch takes 40 seconds, 13 minutes in all; after 400 seconds another studio comes by and takes the rest."""
    names = [world.add_job(f"job-{number:02}") for number in range(JOBS)]
    launched: list[tuple[str, str]] = []

    def by_other(job_id: str) -> None:
        launched.append(("other", job_id))

    def by_first(job_id: str) -> None:
        launched.append(("first", job_id))
        world.clock.turn(40)
        if len(launched) == JOBS // 2:
            reconcile_once(with_launches(world, by_other), owner="other", limit=JOBS)

    assert reconcile_once(with_launches(world, by_first), owner="first", limit=JOBS) == JOBS // 2

    assert sorted(job_id for _, job_id in launched) == names
    assert [who for who, _ in launched].count("first") == JOBS // 2
    assert all(world.simulated.launched(f"train-{name}-1") == 1 for name in names)


def test_a_job_that_is_long_to_bring_home_stays_with_who_brings_it(world: World) -> None:
    """Every file takes two minutes, and after each another studio looks whether the job is free."""
    world.add_job("job-1")
    files: list[str] = []
    taken_away: list[int] = []

    def slow(path: str) -> None:
        if path.startswith("/training/artifacts/job-1/"):
            files.append(path)
            world.clock.turn(120)
            taken_away.append(reconcile_once(world.studio, owner="other"))

    first = replace(world.studio, transports={"simulated": SlowNetwork(world.simulated.transport(), slow)})
    for _ in range(20):
        world.clock.turn(1200)
        reconcile_once(first, owner="first")
    assert world.job("job-1").status is JobStatus.COMPLETED
    assert sum(taken_away) == 0, "the job was taken away amid an act"
    assert len(files) == len(set(files)), "a file was brought twice"
    assert len(files) * timedelta(minutes=2) > CLAIM_DURATION, "it was too quick to show anything"


def test_who_lost_a_job_does_no_more_for_it(world: World) -> None:
    """One act outlasts the claim by itself; another studio goes on with the job, and nothing is done twice."""
    world.add_job("job-1")

    def asleep(_: str) -> None:
        world.clock.turn(CLAIM_DURATION.total_seconds() + 1)
        taken_over.append(reconcile_once(world.studio, owner="other"))
        world.clock.turn(600)  # by now the worker would answer

    taken_over: list[int] = []
    asked: list[str] = []
    first = replace(
        with_launches(world, asleep), transports={"simulated": SlowNetwork(world.simulated.transport(), asked.append)}
    )
    assert reconcile_once(first, owner="first") == 1
    assert taken_over == [1]
    assert asked == [], "the worker was asked by a studio that has lost the job"
    world.live(until=world.at_rest)
    assert world.job("job-1").status is JobStatus.COMPLETED
    assert world.simulated.launched("train-job-1-1") == 1


def test_a_claim_is_renewed_when_a_third_of_it_has_gone_by(world: World) -> None:
    world.add_job("job-1")
    with world.database.session() as session:
        (claimed,) = jobs.claim_due(session, owner="first", now=world.clock(), lease=CLAIM_DURATION, limit=1)
    claim = Claim(world.studio, claimed, CLAIM_DURATION)
    claim.heartbeat()
    assert world.job("job-1").claim_expires_at == claimed.expires_at
    for _ in range(3):
        world.clock.turn(CLAIM_DURATION.total_seconds() / 3)
        claim.heartbeat()
        assert world.job("job-1").claim_expires_at == world.clock() + CLAIM_DURATION
    world.clock.turn(CLAIM_DURATION.total_seconds() + 1)
    with world.database.session() as session:
        assert jobs.claim_due(session, owner="other", now=world.clock(), lease=CLAIM_DURATION, limit=1)
    with pytest.raises(ClaimLost):
        claim.heartbeat()
