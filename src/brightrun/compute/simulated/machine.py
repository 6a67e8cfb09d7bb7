"""One simulated machine: what it does by the clock, whatever the provider or the network say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from brightrun.compute.base import Machine, MachineRequest, MachineState
from brightrun.compute.simulated.bundle import listed_files, make_bundle, make_partial_bundle
from brightrun.compute.simulated.faults import FaultPlan
from brightrun.compute.simulated.script import (
    Pace,
    SimulatedLimit,
    interrupted,
    script_run,
    step_seconds,
    stopped_gracefully,
    training_loss,
)
from brightrun.contract.events import EndEvent, Event
from brightrun.contract.messages import StartRequest
from brightrun.contract.states import EndReason, JobStatus

_HOUR = timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class SimulatedMachine:
    """The truth about a machine. Times are with zone; `gone_at` is when it stopped to cost."""

    id: str
    machine_request: MachineRequest
    faults: FaultPlan
    pace: Pace
    price: Decimal
    launched_at: datetime
    gone_at: datetime | None = None
    ending: bool = False
    polls_left: int = 0
    ignored_left: int = 0
    request: StartRequest | None = None
    run_started: datetime | None = None
    resumed: int = 0
    stops_gracefully: bool = False
    exported: int = 0
    script: tuple[Event, ...] = field(default=(), repr=False)
    bundle: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def ready_at(self) -> datetime:
        return self.launched_at + timedelta(seconds=self.pace.boot)

    def settle(self, now: datetime) -> None:
        """Let happen what the script says has happened by now."""
        moment = self._death()
        if self.gone_at is None and moment is not None and moment <= now:
            self.gone_at = moment

    def get(self, now: datetime) -> Machine:
        """What the provider shows; each look at an ending machine brings its end nearer."""
        self.settle(now)
        if self.gone_at is None and self.ending:
            if self.polls_left == 0:
                self.gone_at = now
            self.polls_left -= 1
        return self.shown(now)

    def shown(self, now: datetime) -> Machine:
        state = MachineState.RUNNING if now >= self.ready_at else MachineState.STARTING
        if self.gone_at is not None:
            state = MachineState.TERMINATED
        return Machine(
            id=self.id,
            name=self.machine_request.name,
            state=state,
            worker_url=f"http://{self.id}.simulated.invalid" if state is MachineState.RUNNING else None,
            price_usd_per_hour=self.price,
            started_at=self.launched_at,
            detail="ending" if self.ending else str(state),
        )

    def terminate(self) -> None:
        if self.ignored_left > 0:
            self.ignored_left -= 1
            return
        self.ending = True

    def cost(self, now: datetime) -> Decimal:
        """Dollars from launch until it was gone, or until now."""
        lived = (self.gone_at or now) - self.launched_at
        return self.price * (lived // _MICROSECOND) / (_HOUR // _MICROSECOND)

    def answers(self, now: datetime) -> bool:
        """Whether its worker server answers: booted, not gone, not silent."""
        self.settle(now)
        if self.gone_at is not None or now < self.ready_at:
            return False
        since = self._reaches(self.faults.silent_from_step)
        if since is None or now < since:
            return True
        return self.faults.silent_for is not None and now >= since + self.faults.silent_for

    def start(self, request: StartRequest, now: datetime, *, resumed: int) -> None:
        self.request, self.run_started, self.resumed = request, now, resumed
        self.bundle = make_bundle(request.spec, created_at=now, loss=training_loss(self.pace.steps, self.pace))
        self.script = script_run(
            request,
            started=now,
            resumed=resumed,
            pace=self.pace,
            faults=self.faults,
            limit=self._limit(request, now),
            artifacts=listed_files(self.bundle),
        )

    def stop(self, now: datetime) -> None:
        """The training process is asked to stop; a run that has ended stays as it ended."""
        written = self.events(now)
        if written and written[-1].kind != "end":
            self.script = (*written, interrupted(written[-1], at=now))

    def stop_gracefully(self, now: datetime, reason: EndReason) -> None:
        """The run is asked to end its step and keep an adapter of it; of one that has ended its checkpoint is taken."""
        written = self.events(now)
        if not written:
            return
        if written[-1].kind == "end":
            self.exported = self.exported or self.checkpoint(now)
        elif not self.stops_gracefully:
            self.script, self.stops_gracefully = stopped_gracefully(self.script, now=now, reason=reason), True

    def events(self, now: datetime) -> tuple[Event, ...]:
        """What stands in the event log now."""
        self.settle(now)
        until = now if self.gone_at is None else min(now, self.gone_at)
        return tuple(event for event in self.script if event.timestamp <= until)

    def alive(self, now: datetime) -> bool:
        """Whether the training process lives."""
        written = self.events(now)
        return bool(written) and written[-1].kind != "end"

    def delivered(self, now: datetime) -> dict[str, bytes]:
        """The files of a run that is over, by name; a failed one leaves its event log and its log."""
        written = self.events(now)
        if not written or written[-1].kind != "end":
            return {}
        event_log = b"".join(event.model_dump_json(exclude_none=True).encode() + b"\n" for event in written)
        bundle = self.bundle if written[-1].status is JobStatus.COMPLETED else {}
        step = (written[-1].data.kept_step if isinstance(written[-1], EndEvent) else None) or self.exported
        if step and not bundle and self.request is not None:
            bundle = make_partial_bundle(self.request.spec, created_at=written[-1].timestamp, step=step)
        return bundle | {"events.jsonl": event_log, "worker.log": b"A simulated run.\n"}

    def checkpoint(self, now: datetime) -> int:
        """The newest step that can be resumed from; 0 where there is none."""
        steps = [event.step or 0 for event in self.events(now) if event.kind == "checkpoint"]
        return max(steps, default=self.resumed)

    def _death(self) -> datetime | None:
        if self.faults.never_boots:
            return self.ready_at
        return self._reaches(self.faults.dies_at_step)

    def _reaches(self, step: int | None) -> datetime | None:
        """When the run reaches a step; None where it never does."""
        if step is None or self.run_started is None or not self.resumed < step <= self.pace.steps:
            return None
        moment = self.run_started + timedelta(seconds=step_seconds(self.pace, step, resumed=self.resumed))
        return moment if self.script and moment <= self.script[-1].timestamp else None

    def _limit(self, request: StartRequest, now: datetime) -> SimulatedLimit | None:
        limits = [] if request.deadline is None else [SimulatedLimit(request.deadline, EndReason.TIME_LIMIT)]
        if request.max_cost_usd is not None and request.price_usd_per_hour:
            hours = float(request.max_cost_usd / request.price_usd_per_hour)
            limits.append(SimulatedLimit((request.paid_since or now) + hours * _HOUR, EndReason.BUDGET_REACHED))
        return min(limits, key=lambda limit: limit.at, default=None)
