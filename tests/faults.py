"""Faults for a studio in a small world: each strikes once a job is in some state. What strikes is real where it can be.

The database is locked by a second connection, storage is a wrapper that refuses, a studio dies on its way back from a
call to the outside, and its claims stay.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from brightrun.compute.simulated.machine import SimulatedMachine
from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.compute.simulated.script import Pace, interrupted
from brightrun.contract.event_data import EndData
from brightrun.contract.events import Event
from brightrun.contract.messages import EventBatch, WebhookReply
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database.database import Database, DatabaseUnavailable
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.reconcile import reconcile_once
from brightrun.jobs.record_event import record_events
from brightrun.jobs.studio import Studio
from tests.seams import FaultyStorage, Seam, SeamedCompute, SeamedTransport
from tests.studio_world import World

JOB = "job-1"
TICK = 5.0
OUTAGE = timedelta(seconds=30)
PACE = Pace(boot=10, step=5, steps=6, checkpoint_every=2)
_LOCK_WAIT_SECONDS = 0.005


class StudioDied(BaseException):
    """kill -9, as far as this process can play it: nothing that comes after it runs."""


class FaultyWorld(World):
    """One job, everything around it behind a seam, and a database that gives up waiting at once."""

    def __init__(self, home: Path, *, poll: float = TICK, pace: Pace = PACE) -> None:
        self.pace = pace
        self.seam = Seam()
        self.faulty: FaultyStorage | None = None
        self.webhook: Webhook | None = None
        self.deaths = self.locked_out = 0
        self._holder: sqlite3.Connection | None = None
        self._held_until: datetime | None = None
        super().__init__(home, limits=ReconcileLimits(poll=timedelta(seconds=poll)))
        self.simulated = SimulatedCompute(self.clock, price=Decimal("3.60"), pace=pace)
        self.studio = self.another_studio()
        self.add_job(JOB)

    def reborn(self) -> Studio:
        """The studio of a new process; what only the old one knew is forgotten."""
        if self.faulty is None:
            self.faulty = FaultyStorage(self.storage, self.seam, self.clock)
        return replace(
            super().reborn(),
            storage=self.faulty,
            computes={"simulated": SeamedCompute(self.simulated, self.seam)},
            transports={"simulated": SeamedTransport(self.simulated.transport(), self.seam)},
        )

    def another_studio(self) -> Studio:
        url = self.database.url.render_as_string(hide_password=False)
        self.database.close()
        self.database = Database(url, lock_wait_seconds=_LOCK_WAIT_SECONDS)
        return self.reborn()

    def tick(self, seconds: float = TICK) -> None:
        """A little time goes by, a webhook may come in, and the studio looks after what is due."""
        self.clock.turn(seconds)
        if self._held_until is not None and self.clock() >= self._held_until:
            self._let_go()
        try:
            if self.webhook is not None:
                self.webhook.poll()
            reconcile_once(self.studio, owner=f"studio-{self.deaths}")
        except DatabaseUnavailable:  # the loop around a studio goes on, as `serve` does
            self.locked_out += 1
        except StudioDied:
            self.deaths += 1
            self.studio = self.another_studio()

    def until(self, reached: Callable[[], bool], *, seconds: float = TICK, ticks: int = 1000) -> None:
        for _ in range(ticks):
            if reached():
                return
            self.tick(seconds)
        raise AssertionError(f"never came to it: {self.job(JOB).status}, {self.job(JOB).message}")

    def ended(self) -> bool:
        job = self.job(JOB)
        return job.status.is_terminal and job.next_check_at is None

    def die(self) -> None:
        raise StudioDied

    def lock_database(self) -> None:
        """Somebody else holds the write lock for a while."""
        assert self._holder is None
        assert self.database.url.database is not None
        self._holder = sqlite3.connect(self.database.url.database, isolation_level=None)
        self._holder.execute("BEGIN IMMEDIATE")
        self._held_until = self.clock() + OUTAGE

    def _let_go(self) -> None:
        assert self._holder is not None
        self._holder.execute("ROLLBACK")
        self._holder.close()
        self._holder = self._held_until = None

    def newest_machine(self) -> SimulatedMachine:
        return self.simulated.machines()[-1]

    def kill_machine(self) -> None:
        """The worker server's process is gone, and its machine with it."""
        machine = self.newest_machine()
        assert machine.gone_at is None
        machine.gone_at = self.clock()

    def kill_training(self, reason: EndReason) -> None:
        """The training process is gone; the worker server lives and tells why."""
        now, machine = self.clock(), self.newest_machine()
        written = machine.events(now)
        assert written
        assert written[-1].kind != "end"
        told = {"reason": reason, "message": reason.text.words, "data": EndData(hint=reason.text.hint)}
        machine.script = (*written, interrupted(written[-1], at=now).model_copy(update=told))

    def push(self, attempt: int, told: list[Event]) -> WebhookReply:
        name = self.leases(JOB)[attempt - 1].machine_name
        return record_events(self.database, EventBatch.telling(JOB, attempt, name, told), now=self.clock())

    def push_everything_again(self) -> list[WebhookReply]:
        """The whole event log of every attempt, as one late webhook each."""
        event_logs = [(lease.number, list(self.simulated.event_log(lease.machine_name))) for lease in self.leases(JOB)]
        return [self.push(number, event_log) for number, event_log in event_logs if event_log]

    def close(self) -> None:
        if self._holder is not None:
            self._let_go()
        self.database.close()
        shutil.rmtree(Path(str(self.database.url.database)).parent, ignore_errors=True)


class Webhook:
    """Pushes what the newest machine writes, two lines at a time, in a way that is not how it should be."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world = world
        self._told: dict[int, int] = {}
        self.dice = random.Random(0)
        self.pushed = 0

    def poll(self) -> None:
        lease = self._world.leases(JOB)[-1]
        event_log = self._world.simulated.event_log(lease.machine_name)
        first = self._told.get(lease.number, 0)
        self._told[lease.number] = len(event_log)
        new = [list(event_log[place : place + 2]) for place in range(first, len(event_log), 2)]
        if new:
            self.deliver(lease.number, new)

    def deliver(self, attempt: int, batches: list[list[Event]]) -> None:
        raise NotImplementedError

    def push(self, attempt: int, batch: list[Event]) -> None:
        self._world.push(attempt, batch)
        self.pushed += 1


class LosesSome(Webhook):
    """Of a round's batches only the last gets through, so that the end comes with a hole before it."""

    def deliver(self, attempt: int, batches: list[list[Event]]) -> None:
        self.push(attempt, batches[-1][-1:])


class SaysTwice(Webhook):
    def deliver(self, attempt: int, batches: list[list[Event]]) -> None:
        for _ in range(3):
            for batch in batches:
                self.push(attempt, batch)


class Shuffles(Webhook):
    """The newest batch comes first and shuffled, what was before it a round later and backwards."""

    def __init__(self, world: FaultyWorld) -> None:
        super().__init__(world)
        self._kept: list[tuple[int, list[Event]]] = []

    def deliver(self, attempt: int, batches: list[list[Event]]) -> None:
        *older, newest = batches
        self.push(attempt, self.dice.sample(newest, k=len(newest)))
        for number, batch in reversed(self._kept):
            self.push(number, batch[::-1])
        self._kept = [(attempt, batch) for batch in older]


class ComesTooLate(Webhook):
    """Nothing comes before the end; then everything does."""

    def deliver(self, attempt: int, batches: list[list[Event]]) -> None:  # noqa: ARG002 the others' signature
        self.pushed += 1


@dataclass(frozen=True)
class Fault:
    """What strikes, in which states it can, and how the job ends then.

    Attributes:
        reason: Why the job failed; None: it completed.
        struck: Whether it really came to something, asked at the end; in some states nothing may come of it.
    """

    name: str
    inject: Callable[[FaultyWorld], None]
    states: tuple[JobStatus, ...]
    reason: EndReason | None = None
    struck: Callable[[FaultyWorld, JobStatus], bool] = lambda _world, _state: True


STATES = (
    JobStatus.QUEUED,
    JobStatus.PROVISIONING,
    JobStatus.PREPROCESSING,
    JobStatus.MODEL_LOADED,
    JobStatus.TRAINING,
    JobStatus.EVALUATING,
    JobStatus.UPLOADING,
)
WITH_MACHINE = STATES[1:]  # before there is a machine, none can be lost
WITH_PROCESS = STATES[2:]  # before there is a training process, there is neither one to kill nor a event log


def studio_killed(calls: int) -> Fault:
    """On its way back from the n-th call to the outside: before a launch, after it, amid collecting files, …"""
    return Fault(
        f"studio killed after call {calls}",
        lambda world: world.seam.after(calls, world.die),
        STATES,
        struck=lambda world, _: world.deaths == 1,
    )


def worker_killed() -> list[Fault]:
    def soon(world: FaultyWorld) -> None:
        world.seam.after(6, world.kill_machine)

    def lost(world: FaultyWorld, _: JobStatus) -> bool:
        return len(world.leases(JOB)) == 2

    return [
        Fault("worker server killed", FaultyWorld.kill_machine, WITH_MACHINE, struck=lost),
        Fault("worker server killed amid an act", soon, WITH_MACHINE, struck=lost),
    ]


def training_killed(reason: EndReason) -> Fault:
    return Fault(
        f"training process killed, told as {reason}",
        lambda world: world.kill_training(reason),
        WITH_PROCESS,
        struck=lambda world, _: len(world.leases(JOB)) == 2,
    )


def database_locked() -> list[Fault]:
    def amid(world: FaultyWorld) -> None:
        world.seam.after(1, world.lock_database)

    def felt(world: FaultyWorld, _: JobStatus) -> bool:
        return world.locked_out > 0

    return [
        Fault("database locked for 30 s", FaultyWorld.lock_database, STATES, struck=felt),
        Fault("database locked for 30 s amid an act", amid, STATES, struck=felt),
    ]


def storage_failing() -> list[Fault]:
    def down(world: FaultyWorld) -> None:
        assert world.faulty is not None
        world.faulty.down_until = world.clock() + OUTAGE

    def full(world: FaultyWorld) -> None:
        assert world.faulty is not None
        world.faulty.full = True

    def refused(world: FaultyWorld, state: JobStatus) -> bool:
        """Files are stored at the end only; an outage that began long before is over by then."""
        assert world.faulty is not None
        return world.faulty.refusals > 0 or (state is not JobStatus.UPLOADING and not world.faulty.full)

    return [
        Fault("storage failing for 30 s", down, STATES, struck=refused),
        Fault("disk full on the studio's storage", full, STATES, EndReason.DISK_FULL, struck=refused),
    ]


def webhook(name: str, kind: type[Webhook]) -> Fault:
    def inject(world: FaultyWorld) -> None:
        world.webhook = kind(world)

    def pushed(world: FaultyWorld, _: JobStatus) -> bool:
        return world.webhook is not None and world.webhook.pushed > 0

    return Fault(f"webhook {name}", inject, WITH_PROCESS, struck=pushed)


def worker_disk_full() -> Fault:
    return Fault(
        "disk full on the worker",
        lambda world: world.kill_training(EndReason.DISK_FULL),
        WITH_PROCESS,
        EndReason.DISK_FULL,
        struck=lambda world, _: len(world.leases(JOB)) == 1,
    )


FAULTS: tuple[Fault, ...] = (
    *(studio_killed(calls) for calls in (1, 2, 20)),
    *worker_killed(),
    *(training_killed(reason) for reason in (EndReason.INTERRUPTED, EndReason.WORKER_LOST)),
    *database_locked(),
    *storage_failing(),
    webhook("lost", LosesSome),
    webhook("duplicated", SaysTwice),
    webhook("reordered", Shuffles),
    webhook("delayed past the end", ComesTooLate),
    worker_disk_full(),
)
