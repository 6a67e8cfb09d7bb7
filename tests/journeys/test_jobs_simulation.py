"""A thousand seeded lives of jobs: machines crash, fall silent, refuse to end; studios die; batches come again.

Whatever happens: one terminal state, no lease open at the end, cost equals lease time × price, no acknowledged event
lost, and no run goes on over its cap, be a studio alive or not.
"""

from __future__ import annotations

import random
import shutil
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from brightrun.compute.simulated.faults import seeded_faults
from brightrun.compute.simulated.script import Pace
from brightrun.contract.messages import EventBatch
from brightrun.contract.states import JobStatus
from brightrun.database import events
from brightrun.errors import IllegalTransition
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.reconcile import CLAIM_DURATION, reconcile_once
from brightrun.jobs.reconcile_pass import ReconcilePass
from brightrun.jobs.record_event import record_events
from tests.studio_world import OWNER, World

pytestmark = pytest.mark.slow

LIVES = 1000
WORLDS = 20
JOBS = LIVES // WORLDS
PACE = Pace()


class StudioDied(BaseException):
    """kill -9, as far as this process can play it: nothing that comes after it runs."""


@pytest.mark.parametrize("seed", range(WORLDS))
def test_whatever_happens(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    world = World(tmp_path, script=seeded_faults(seed))
    caps = {f"job-{seed}-{number}": _cap(dice) for number in range(JOBS)}
    names = [world.add_job(name, max_cost_usd=cap) for name, cap in caps.items()]
    _let_studios_die(monkeypatch, dice)
    acknowledged: dict[tuple[str, int], int] = {}
    for _ in range(2000):
        _one_moment(world, dice, names, acknowledged)
        if world.at_rest():
            break
        world.clock.turn(dice.choice([5, 15, 30, 60]))
    else:
        pytest.fail("the world never came to rest")

    assert world.simulated.list_managed() == []
    for name in names:
        job, leases = world.job(name), world.leases(name)
        assert job.status.is_terminal
        assert (job.status is JobStatus.COMPLETED) == (job.reason is None)
        assert all(lease.ended_at is not None for lease in leases)
        assert all(_never_two_at_once(world, lease.machine_name) for lease in leases)
        for lease in leases:
            assert lease.cost_usd == _price_of(lease)
        spent = sum((lease.cost_usd or Decimal(0) for lease in leases), Decimal(0))
        assert (job.actual_cost_usd or Decimal(0)) == spent
        assert job.export_until is None
        if (cap := caps[name]) is not None:
            _assert_kept_to(world, name, Decimal(cap))
    with world.database.reading() as session:
        for (name, attempt), sequence in acknowledged.items():
            assert events.acknowledged(session, name, attempt) >= sequence
    assert len({world.job(name).status for name in names}) > 1, "a simulation in which all ends alike shows little"
    shutil.rmtree(Path(str(world.database.url.database)).parent, ignore_errors=True)


def _one_moment(world: World, dice: random.Random, names: list[str], acknowledged: dict[tuple[str, int], int]) -> None:
    for _ in range(3):
        try:
            if not reconcile_once(world.studio, owner=f"studio-{dice.randrange(3)}", limit=100):
                break
        except StudioDied:
            world.studio = world.reborn()
            world.clock.turn(CLAIM_DURATION.total_seconds())  # its claims have to expire first
    if dice.random() < 0.1:
        _push_again(world, dice, dice.choice(names), acknowledged)
    if dice.random() < 0.02:
        world.clock.turn(dice.choice([300, 1800]))  # no studio is alive for a while
    if dice.random() < 0.03:
        try:
            keep = dice.random() < 0.5
            cancel_job(world.studio, owner_id=OWNER, job_id=dice.choice(names), export_on_stop=keep)
        except IllegalTransition:
            return  # it had finished


def _push_again(world: World, dice: random.Random, name: str, acknowledged: dict[tuple[str, int], int]) -> None:
    """A webhook: some lines of the newest machine's event log, perhaps old ones, perhaps with holes, in any order."""
    leases = world.leases(name)
    if not leases or not (event_log := list(world.simulated.event_log(leases[-1].machine_name))):
        return
    batch = dice.sample(event_log, k=dice.randint(1, len(event_log)))
    number = leases[-1].number
    told = EventBatch.telling(name, number, leases[-1].machine_name, batch)
    before = world.job(name).status
    reply = record_events(world.database, told, now=world.clock())
    acknowledged[name, number] = max(acknowledged.get((name, number), 0), reply.acknowledged)
    if before.is_terminal:
        assert world.job(name).status is before
        assert reply.continue_ is False


def _let_studios_die(monkeypatch: pytest.MonkeyPatch, dice: random.Random) -> None:
    """Before or after any act, one time in two hundred, the studio is gone."""
    act = ReconcilePass.apply

    def act_or_die(*arguments: object) -> object:
        if dice.random() < 0.0025:
            raise StudioDied
        outcome = act(*arguments)  # type: ignore[arg-type]
        if dice.random() < 0.0025:
            raise StudioDied
        return outcome

    monkeypatch.setattr(ReconcilePass, "apply", act_or_die)


def _never_two_at_once(world: World, name: str) -> bool:
    """A machine whose launch was never answered may die unseen; only then is there another of its name."""
    managed = [machine for machine in world.simulated.machines() if machine.machine_request.name == name]
    lives = [(machine.launched_at, machine.gone_at) for machine in managed]
    return all(before[1] is not None and before[1] <= after[0] for before, after in pairwise(lives))


def _cap(dice: random.Random) -> str | None:
    """A whole run costs 0.20 USD, so that some caps are met, some never, and some only after a second machine."""
    return dice.choice([None, "0.08", "0.14", "0.30", "0.60"])


def _assert_kept_to(world: World, name: str, cap: Decimal) -> None:
    """No run has trained on for more than a step's cost beyond what the job's machines had cost until then.

    Earlier leases count as they were billed; of the machine that trains, the time until its run was over.
    """
    step = world.simulated.machines()[0].price * Decimal(str(PACE.step)) / 3600
    before = Decimal(0)
    for lease in world.leases(name):
        for machine in world.simulated.machines():
            told = machine.script
            if machine.machine_request.name != lease.machine_name or not told or lease.launched_at is None:
                continue
            over = min(told[-1].timestamp, machine.gone_at or told[-1].timestamp)
            trained = machine.price * Decimal(str((over - lease.launched_at).total_seconds())) / 3600
            assert before + trained <= cap + step, (name, before, trained, cap)
        before += lease.cost_usd or Decimal(0)


def _price_of(lease: object) -> Decimal:
    launched, ended, price = lease.launched_at, lease.ended_at, lease.price_usd_per_hour  # type: ignore[attr-defined]
    if launched is None or price is None:
        return Decimal(0)
    seconds = Decimal(str((ended - launched).total_seconds()))
    return (price * seconds / 3600).quantize(Decimal("0.0001"))
