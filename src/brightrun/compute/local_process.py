"""Machines that are worker processes on this one, as many at a time as it has devices.

A machine dies with its server, as a container does with its first process: what the server leaves behind is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx

from brightrun.compute.base import Machine, MachineRequest, MachineState, parse_machine_name, terminated
from brightrun.compute.process_records import ProcessRecord, ProcessRecords
from brightrun.compute.tagged_processes import (
    is_tagged,
    kill_all,
    signal_one,
    start_tagged,
    tagged,
    worker_environment,
)
from brightrun.errors import ComputeError, ComputeRefused, NoCapacity

WORKER_SERVER = (sys.executable, "-m", "brightrun.worker", "serve")


class LocalProcess:
    """A Compute of worker servers on 127.0.0.1.

    Args:
        folder: Records and logs of the processes; studios that share this machine's devices share it.
        command: What starts a server; `--root --host --port --port-file --job --name` are added.
        devices: How many machines may live at once.
        price: Dollars per hour of this machine; None where its owner did not say, which is not 0.
        grace: How long a machine that was asked to end may take before it is killed.
        patience: How long a server may take to answer for the first time and still count as starting.
        clock: Now, with zone.
    """

    name = "local_process"
    supports_spot = False
    shares_disk = True

    def __init__(
        self,
        folder: Path,
        *,
        command: Sequence[str] = WORKER_SERVER,
        devices: int = 1,
        price: Decimal | None = None,
        grace: timedelta = timedelta(seconds=5),
        patience: timedelta = timedelta(minutes=2),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder.absolute()
        self._records = ProcessRecords(self._folder)
        self._command = tuple(command)
        self._devices = devices
        self._price = price
        self._grace = grace
        self._patience = patience
        self._clock = clock

    def launch(self, request: MachineRequest) -> Machine:
        root = self._root(request)
        with self._records.locked():
            record = self._living(self._records.by_name(request.name))
            if record is None:
                self._require_room(request.name)
                record = self._start(request, root)
        return self._shown(record)

    def find(self, name: str) -> Machine | None:
        if parse_machine_name(name) is None:
            return None
        with self._records.locked():
            record = self._living(self._records.by_name(name))
        return self._shown(record) if record else None

    def get(self, machine_id: str) -> Machine:
        with self._records.locked():
            known = self._records.by_id(machine_id)
            record = self._living(known)
        if record is None:
            return terminated(machine_id, known.name if known else "", "its process is not there")
        return self._shown(record)

    def terminate(self, machine_id: str) -> None:
        """Asked the first time, the server gets SIGTERM and ends its training; after the grace, all are killed."""
        with self._records.locked():
            record = self._living(self._records.by_id(machine_id))
            if record is None:
                return
            if record.ending_since is None:
                self._records.write(record.model_copy(update={"ending_since": self._clock()}))
                signal_one(record.pid, record.id, signal.SIGTERM)
            elif self._clock() - record.ending_since >= self._grace:
                kill_all(record.id, wait_seconds=0.2)

    def list_managed(self) -> list[Machine]:
        with self._records.locked():
            living = [record for known in self._records.all() if (record := self._living(known))]
        return [self._shown(record) for record in living]

    def _root(self, request: MachineRequest) -> Path:
        """The folder whose folder named as the job is the run's."""
        if parse_machine_name(request.name) != (request.job_id, request.attempt):
            raise ComputeRefused(
                f"{request.name!a} is not the name of attempt {request.attempt} of job {request.job_id!a}."
            )
        if request.run_folder is None:
            return self._folder / "runs"
        if request.run_folder.name != request.job_id:
            raise ComputeRefused(f"The run folder of job {request.job_id} is not named as the job.")
        return request.run_folder.absolute().parent

    def _require_room(self, name: str) -> None:
        living = [record.name for known in self._records.all() if (record := self._living(known))]
        if len(living) >= self._devices:
            raise NoCapacity(
                f"{name} waits its turn; {', '.join(living)} runs on this machine.",
                hint="It starts by itself when the run before it ends.",
            )

    def _start(self, request: MachineRequest, root: Path) -> ProcessRecord:
        """The intent is written first: a process that was started and not written down is found by its tag."""
        machine_id = f"{request.name}.{uuid.uuid4().hex[:12]}"
        intent = ProcessRecord(id=machine_id, name=request.name, started_at=self._clock())
        self._records.write(intent)
        root.mkdir(parents=True, exist_ok=True)
        address = ("--host", "127.0.0.1", "--port", "0", "--port-file", str(self._records.port_file(intent)))
        arguments = ("--root", str(root), *address, "--job", request.job_id, "--name", request.name)
        environment = worker_environment(os.environ, request.environment, machine_id)
        try:
            pid = start_tagged((*self._command, *arguments), environment, self._records.log(intent))
        except OSError as error:
            self._records.remove(intent)
            raise ComputeRefused(f"The worker's program cannot be started: {error.strerror}.") from error
        return self._records.write(intent.model_copy(update={"pid": pid}))

    def _living(self, record: ProcessRecord | None) -> ProcessRecord | None:
        """The record if its server lives; otherwise nothing is left of the machine, the record included."""
        if record is None:
            return None
        if record.pid is None and (found := tagged(record.id)):
            record = self._records.write(record.model_copy(update={"pid": found[0].pid}))
        if record.pid is not None and is_tagged(record.pid, record.id):
            if record.port is None and (port := self._records.chosen_port(record)):
                record = self._records.write(record.model_copy(update={"port": port}))
            return record
        if not kill_all(record.id, wait_seconds=2.0):
            raise ComputeError(f"Processes of {record.name} outlive its server and cannot be killed yet.")
        self._records.remove(record)
        return None

    def _shown(self, record: ProcessRecord) -> Machine:
        answers = _answers(record.url)
        young = self._clock() - record.started_at < self._patience
        state, detail = MachineState.RUNNING, f"process {record.pid}"
        if not answers:
            state = MachineState.STARTING if young else MachineState.UNKNOWN
            detail += " does not answer"
        return Machine(
            id=record.id,
            name=record.name,
            state=state,
            worker_url=None if state is MachineState.STARTING else record.url,
            price_usd_per_hour=self._price,
            started_at=record.started_at,
            detail=detail + (", was asked to end" if record.ending_since else ""),
        )


def _answers(url: str | None) -> bool:
    """Whether a server is there; what it says is read by others."""
    if url is None:
        return False
    try:
        httpx.get(f"{url}/health", timeout=2.0, trust_env=False)
    except httpx.TransportError:
        return False
    return True
