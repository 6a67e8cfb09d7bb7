"""One worker server that runs already, at an address of its own: it is lent to one job at a time and never ended.

The worker itself is asked what it runs, so that any studio, after any restart, sees the same. What only this process
remembers is which job it lent the worker to before that job began, and which jobs it asked to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from brightrun.compute.base import Machine, MachineRequest, MachineState, parse_machine_name, terminated
from brightrun.contract.messages import HealthReply, StatusReply
from brightrun.errors import ComputeError, ComputeRefused, NoCapacity

_Reply = TypeVar("_Reply", bound=BaseModel)


class StaticWorker:
    """A Compute of one machine, whose id is the machine's name.

    `end` stops the job only. After it, `look` on the same object says gone as soon as the job's process is not there;
    after a restart of the studio `end` is simply asked again.

    Args:
        url: Address of the worker server.
        token: Its bearer token.
        price: Dollars per hour of the worker; None where the owner did not say.
        reserve: How long the worker is kept for a job that was given it and has not begun.
        transport: Network of the client, for tests.
        clock: Now, with zone.
    """

    name = "static_worker"
    supports_spot = False
    shares_disk = False

    def __init__(
        self,
        url: str,
        token: str,
        *,
        price: Decimal | None = None,
        reserve: timedelta = timedelta(minutes=10),
        timeout: timedelta = timedelta(seconds=10),
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self._url,
            headers={"authorization": f"Bearer {token}"},
            timeout=timeout.total_seconds(),
            transport=transport,
        )
        self._price = price
        self._reserve = reserve
        self._clock = clock
        self._assigned: dict[str, datetime] = {}
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def launch(self, request: MachineRequest) -> Machine:
        if parse_machine_name(request.name) != (request.job_id, request.attempt):
            raise ComputeRefused(
                f"{request.name!a} is not the name of attempt {request.attempt} of job {request.job_id!a}."
            )
        with self._lock:
            running = self._health().running_job
            if running not in {None, request.job_id}:
                raise NoCapacity(f"{request.name} waits its turn; the worker runs the job {running}.")
            now = self._clock()
            since = self._assigned.get(request.name)
            holder = next((name for name in self._assigned if name != request.name and self._holds(name, now)), None)
            if holder is not None:
                raise NoCapacity(f"{request.name} waits its turn; the worker is kept for {holder}.")
            self._ended.discard(request.name)
            self._assigned = {request.name: since or now}
        return self._machine(request.name, MachineState.RUNNING, "lent")

    def find(self, name: str) -> Machine | None:
        machine = self.get(name)
        known = name in self._assigned or self._status(name) is not None
        return machine if known and machine.state is not MachineState.TERMINATED else None

    def get(self, machine_id: str) -> Machine:
        owner = parse_machine_name(machine_id)
        if owner is None:
            return terminated(machine_id, machine_id, "no machine of ours is named so")
        try:
            running = self._health().running_job
            status = self._status(machine_id)
        except ComputeRefused:
            raise
        except ComputeError as error:
            return self._machine(machine_id, MachineState.UNKNOWN, error.message)
        state, detail = _judge(owner, status, running, ended=machine_id in self._ended)
        return self._machine(machine_id, state, detail)

    def terminate(self, machine_id: str) -> None:
        owner = parse_machine_name(machine_id)
        if owner is None:
            return
        status = self._status(machine_id)
        if status is not None and status.attempt == owner[1] and status.alive:
            self._ask("POST", f"/training/stop/{owner[0]}", StatusReply)
        with self._lock:
            self._assigned.pop(machine_id, None)
            self._ended.add(machine_id)

    def list_managed(self) -> list[Machine]:
        running = self._health().running_job
        status = self._status_of(running) if running else None
        names = {f"train-{status.job_id}-{status.attempt}"} if status is not None else set()
        machines = (self.get(name) for name in sorted(names | set(self._assigned)))
        return [machine for machine in machines if machine.state is not MachineState.TERMINATED]

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _holds(self, name: str, now: datetime) -> bool:
        """Whether a job that was lent the worker still has it: not ended, and begun or given time to begin."""
        status = self._status(name)
        owner = parse_machine_name(name)
        if status is not None and owner is not None and status.attempt >= owner[1]:
            return status.alive or status.exporting
        return now - self._assigned[name] < self._reserve

    def _machine(self, name: str, state: MachineState, detail: str) -> Machine:
        return Machine(
            id=name,
            name=name,
            state=state,
            worker_url=None if state is MachineState.TERMINATED else self._url,
            price_usd_per_hour=self._price,
            started_at=self._assigned.get(name),
            detail=detail,
        )

    def _health(self) -> HealthReply:
        reply = self._ask("GET", "/health", HealthReply)
        if reply is None:
            raise ComputeRefused(f"There is no worker server at {self._url}.")
        return reply

    def _status(self, name: str) -> StatusReply | None:
        owner = parse_machine_name(name)
        return self._status_of(owner[0]) if owner else None

    def _status_of(self, job_id: str) -> StatusReply | None:
        """What the worker knows of a job, without its events; None where it does not know it."""
        return self._ask("GET", f"/training/status/{job_id}?after={2**31}", StatusReply)

    def _ask(self, method: str, path: str, expected: type[_Reply]) -> _Reply | None:
        """The worker's answer; None for 404.

        Raises:
            ComputeRefused: the token is wrong.
            ComputeError: no answer, or one that is none of ours.
        """
        try:
            response = self._client.request(method, path, json={} if method == "POST" else None)
        except httpx.TransportError as error:
            raise ComputeError(f"The worker at {self._url} does not answer ({type(error).__name__}).") from error
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise ComputeRefused(
                f"The worker at {self._url} refuses our token.",
                hint="Set the same TRAINING_WORKER_TOKEN on both sides.",
            )
        try:
            return expected.model_validate_json(response.raise_for_status().content)
        except (httpx.HTTPStatusError, ValidationError) as error:
            raise ComputeError(f"The worker at {self._url} answered strangely ({response.status_code}).") from error


def _judge(
    owner: tuple[str, int], status: StatusReply | None, running: str | None, *, ended: bool
) -> tuple[MachineState, str]:
    """Whether the worker is still this attempt's machine, from what it says of the job and of itself."""
    job_id, attempt = owner
    if status is not None and status.attempt > attempt:
        return MachineState.TERMINATED, f"the worker went on to attempt {status.attempt}"
    mine = status is not None and status.attempt == attempt
    if mine and status is not None and (status.alive or status.exporting):
        return MachineState.RUNNING, "runs the job"
    if ended:
        return MachineState.TERMINATED, "the job was stopped"
    if mine:
        return MachineState.RUNNING, "the job has ended"
    if running not in {None, job_id}:
        return MachineState.TERMINATED, f"the worker runs the job {running}"
    return MachineState.RUNNING, "waits for its job"
