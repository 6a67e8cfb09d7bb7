"""A provider whose machines exist in this process only, live by a clock that is passed in, and fail by a script.

For simulations and tests of everything above it. What it bills and what it launched can be asked afterwards.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

import httpx

from brightrun.compute.base import Machine, MachineRequest, MachineState, parse_machine_name, terminated
from brightrun.compute.simulated.faults import FaultScript, no_faults
from brightrun.compute.simulated.machine import SimulatedMachine
from brightrun.compute.simulated.script import Pace
from brightrun.compute.simulated.worker import SimulatedTransport
from brightrun.contract.events import Event
from brightrun.errors import ComputeError, ComputeRefused, NoCapacity


class SimulatedCompute:
    """A Compute for make-believe; safe to use from several threads.

    Args:
        clock: Now, with zone; it may only go forward.
        script: The fate of each machine.
        capacity: How many machines may live at once; None for any number.
        price: Dollars per hour of every machine.
        shared_disk: Whether a job's next machine finds the checkpoints of the one before.
    """

    name = "simulated"
    supports_spot = True
    shares_disk = True

    def __init__(
        self,
        clock: Callable[[], datetime],
        script: FaultScript = no_faults,
        *,
        capacity: int | None = None,
        price: Decimal = Decimal("2.50"),
        pace: Pace | None = None,
        shared_disk: bool = True,
    ) -> None:
        self._clock = clock
        self._script = script
        self._capacity = capacity
        self._price = price
        self._pace = pace or Pace()
        self._shared_disk = shared_disk
        self._machines: dict[str, SimulatedMachine] = {}
        self._calls: Counter[str] = Counter()
        self._outage_until: datetime | None = None
        self._lock = threading.RLock()

    def launch(self, machine_request: MachineRequest) -> Machine:
        with self._answering() as now:
            living = self._living(machine_request.name, now)
            machine = living or self._start(machine_request, now)
            self._calls[f"answer {machine_request.name}"] += 1
            if self._calls[f"answer {machine_request.name}"] <= machine.faults.answers_lost:
                raise ComputeError(f"The answer about {machine_request.name} was lost.")
            return machine.shown(now)

    def find(self, name: str) -> Machine | None:
        with self._answering() as now:
            living = self._living(name, now)
            return living.shown(now) if living else None

    def get(self, machine_id: str) -> Machine:
        with self._answering() as now:
            machine = self._machines.get(machine_id)
            return machine.get(now) if machine else terminated(machine_id, "", "never launched here")

    def terminate(self, machine_id: str) -> None:
        with self._answering():
            if machine := self._machines.get(machine_id):
                machine.terminate()

    def list_managed(self) -> list[Machine]:
        with self._answering() as now:
            shown = [machine.shown(now) for machine in self._settled(now)]
            return [machine for machine in shown if machine.state is not MachineState.TERMINATED]

    # What a test or a simulation asks; no real provider has these.

    def transport(self) -> httpx.BaseTransport:
        """The network to the machines' worker servers, for an `httpx.Client`."""
        return SimulatedTransport(self._machines, self._clock, self._lock, shared_disk=self._shared_disk)

    def machines(self) -> list[SimulatedMachine]:
        """Every machine that ever was, in order of launch, as it truly is now."""
        with self._lock:
            return self._settled(self._clock())

    def launched(self, name: str) -> int:
        """How many machines of this name were ever started."""
        return sum(machine.machine_request.name == name for machine in self.machines())

    def event_log(self, name: str) -> tuple[Event, ...]:
        """What the newest machine of this name has written by now, whether or not it can be reached."""
        named = [machine for machine in self.machines() if machine.machine_request.name == name]
        return named[-1].events(self._clock()) if named else ()

    def cost(self) -> Decimal:
        """Dollars for every machine from launch until it was gone."""
        now = self._clock()
        return sum((machine.cost(now) for machine in self.machines()), Decimal(0))

    def out_of_order_until(self, moment: datetime) -> None:
        """Until then the provider answers nothing; its machines go on."""
        self._outage_until = moment

    def _start(self, machine_request: MachineRequest, now: datetime) -> SimulatedMachine:
        faults = self._script(machine_request)
        if parse_machine_name(machine_request.name) is None or faults.refused:
            raise ComputeRefused(f"The provider will not start {machine_request.name}.")
        self._calls[f"launch {machine_request.name}"] += 1
        living = sum(machine.gone_at is None for machine in self._settled(now))
        full = self._capacity is not None and living >= self._capacity
        if full or self._calls[f"launch {machine_request.name}"] <= faults.refusals:
            raise NoCapacity(f"No machine is free for {machine_request.name}.")
        machine = SimulatedMachine(
            id=f"m{len(self._machines) + 1}",
            machine_request=machine_request,
            faults=faults,
            pace=self._pace,
            price=self._price,
            launched_at=now,
            polls_left=faults.polls_until_terminated,
            ignored_left=faults.ignored_terminations,
        )
        self._machines[machine.id] = machine
        return machine

    def _settled(self, now: datetime) -> list[SimulatedMachine]:
        for machine in self._machines.values():
            machine.settle(now)
        return list(self._machines.values())

    def _living(self, name: str, now: datetime) -> SimulatedMachine | None:
        named = (machine for machine in self._settled(now) if machine.machine_request.name == name)
        return next((machine for machine in named if machine.gone_at is None), None)

    @contextmanager
    def _answering(self) -> Iterator[datetime]:
        with self._lock:
            now = self._clock()
            if self._outage_until is not None and now < self._outage_until:
                raise ComputeError("The provider does not answer.")
            yield now
