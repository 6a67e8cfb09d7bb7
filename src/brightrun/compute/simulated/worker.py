"""The worker servers of simulated machines, spoken to through httpx; the same paths and messages as the real one's."""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import httpx
from pydantic import BaseModel, ValidationError

from brightrun.compute.simulated.bundle import described
from brightrun.compute.simulated.machine import SimulatedMachine
from brightrun.contract.messages import (
    ArtifactFile,
    ArtifactsReply,
    CheckpointFiles,
    ErrorDetail,
    ErrorReply,
    HealthReply,
    StartRequest,
    StatusReply,
    StopRequest,
)
from brightrun.contract.states import JobStatus

TOKEN_VARIABLE = "TRAINING_WORKER_TOKEN"  # noqa: S105 the variable's name, not a token
_STEP = re.compile(r"work/checkpoints/step-(\d+)/")
_PAGE = 1_000


class SimulatedTransport(httpx.BaseTransport):
    """Routes `http://{machine id}.simulated.invalid/…` to a machine; one that does not answer is a network error."""

    def __init__(
        self,
        machines: Mapping[str, SimulatedMachine],
        clock: Callable[[], datetime],
        lock: threading.RLock,
        *,
        shared_disk: bool,
    ) -> None:
        self._machines = machines
        self._clock = clock
        self._lock = lock
        self._shared_disk = shared_disk

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        with self._lock:
            now = self._clock()
            machine = self._machines.get(request.url.host.split(".", maxsplit=1)[0])
            if machine is None or not machine.answers(now):
                raise httpx.ConnectTimeout("The machine does not answer.", request=request)
            return _Call(self, machine, request, body, now).answer()

    def newest_checkpoint(self, job_id: str, now: datetime) -> int:
        """The newest step any machine of the job has kept on the disk they share; 0 where they share none."""
        if not self._shared_disk:
            return 0
        of_job = [m for m in self._machines.values() if m.request and m.request.spec.job_id == job_id]
        return max((machine.checkpoint(now) for machine in of_job), default=0)


class _Call:
    """One request at one machine."""

    def __init__(
        self, network: SimulatedTransport, machine: SimulatedMachine, request: httpx.Request, body: bytes, now: datetime
    ) -> None:
        self.network, self.machine, self.request, self.body, self.now = network, machine, request, body, now

    def answer(self) -> httpx.Response:
        path = self.request.url.path
        if not self._is_allowed():
            return _problem(401, "invalid_token", "The token is not this machine's.")
        if (self.request.method, path) == ("GET", "/health"):
            return self._health()
        if (self.request.method, path) == ("POST", "/training/start"):
            return self._start()
        kind, _, rest = path.removeprefix("/training/").partition("/")
        job_id, _, name = rest.partition("/")
        if self._runs() != job_id:
            return _problem(404, "not_found", "This worker does not know the job.")
        return self._about_job(kind, job_id, name)

    def _about_job(self, kind: str, job_id: str, name: str) -> httpx.Response:
        match self.request.method, kind, bool(name):
            case "GET", "status", False if self._is_about_this_attempt():
                return _reply(self._status())
            case "POST", "stop", False:
                return self._stop()
            case "GET", "artifacts", False:
                return self._artifacts(job_id)
            case "GET", "artifacts", True:
                return self._artifact(name)
            case _:
                return _problem(404, "not_found", "There is nothing at this path.")

    def _stop(self) -> httpx.Response:
        asked = StopRequest.model_validate_json(self.body) if self.body else StopRequest()
        if asked.graceful_stop_reason is None:
            self.machine.stop(self.now)
            return _reply(self._status())
        self.machine.stop_gracefully(self.now, asked.graceful_stop_reason)
        status = self._status()
        made = {file.name for file in status.artifacts}
        if not status.alive and "adapter/manifest.json" not in made:
            status = status.model_copy(update={"export_error": "The run has no whole checkpoint."})
        return _reply(status)

    def _is_allowed(self) -> bool:
        token = self.machine.machine_request.environment.get(TOKEN_VARIABLE)
        given = self.request.headers.get("authorization", "")
        return token is None or hmac.compare_digest(given.encode(), f"Bearer {token}".encode())

    def _runs(self) -> str | None:
        return self.machine.request.spec.job_id if self.machine.request else None

    def _is_about_this_attempt(self) -> bool:
        assert self.machine.request is not None
        return self.request.url.params.get("attempt") in {None, str(self.machine.request.attempt)}

    def _start(self) -> httpx.Response:
        try:
            asked = StartRequest.model_validate_json(self.body)
        except ValidationError as error:
            return _problem(422, "malformed_message", str(error.errors(include_input=False)[0]["msg"]))
        held = self.machine.request
        if held is not None and (held.spec.job_id, held.attempt) != (asked.spec.job_id, asked.attempt):
            return _problem(409, "worker_busy", f"This worker runs the job {held.spec.job_id}.")
        if held is None:
            self.machine.start(asked, self.now, resumed=self._resume_step(asked))
        return _reply(self._status())

    def _resume_step(self, asked: StartRequest) -> int:
        if not asked.resume:
            return 0
        sent = [int(found[1]) for file in asked.files if (found := _STEP.match(file.name))]
        return max([*sent, self.network.newest_checkpoint(asked.spec.job_id, self.now)])

    def _status(self) -> StatusReply:
        held = self.machine.request
        assert held is not None
        after = self.request.url.params.get("after", "0")
        written = self.machine.events(self.now)
        first = int(after) if after.isdecimal() else 0
        return StatusReply(
            job_id=held.spec.job_id,
            attempt=held.attempt,
            fingerprint=held.spec.fingerprint(),
            status=written[-1].status if written else JobStatus.PROVISIONING,
            alive=self.machine.alive(self.now),
            events=written[first : first + _PAGE],
            last_sequence=len(written),
            artifacts=self._described(),
        )

    def _health(self) -> httpx.Response:
        alive = self.machine.alive(self.now)
        reply = HealthReply(
            device="simulated",
            memory_available_bytes=1 << 34,
            disk_free_bytes=1 << 36,
            versions={"simulated": "1"},
            running_job=self._runs() if alive else None,
        )
        return _reply(reply)

    def _described(self) -> tuple[ArtifactFile, ...]:
        return tuple(described(name, content) for name, content in self.machine.delivered(self.now).items())

    def _artifacts(self, job_id: str) -> httpx.Response:
        step = self.machine.checkpoint(self.now)
        kept = CheckpointFiles(step=step, files=(described(_checkpoint_name(step), _checkpoint(step)),))
        return _reply(ArtifactsReply(job_id=job_id, artifacts=self._described(), checkpoint=kept if step else None))

    def _artifact(self, name: str) -> httpx.Response:
        step = self.machine.checkpoint(self.now)
        files = dict(self.machine.delivered(self.now))
        if step:
            files[_checkpoint_name(step)] = _checkpoint(step)
        if name not in files:
            return _problem(404, "not_found", "There is no such artifact.")
        return _ranged(files[name], self.request.headers.get("range"))


def _checkpoint_name(step: int) -> str:
    return f"work/checkpoints/step-{step:06d}/state.bin"


def _checkpoint(step: int) -> bytes:
    return f"simulated checkpoint {step}".encode().ljust(4096, b".")


def _ranged(content: bytes, asked: str | None) -> httpx.Response:
    """The content, or the one range `bytes=first-[last]` of it."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if found is None:
        return httpx.Response(200, content=content)
    first, last = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
    if first > last:
        return httpx.Response(416, headers={"content-range": f"bytes */{len(content)}"})
    return httpx.Response(
        206, content=content[first : last + 1], headers={"content-range": f"bytes {first}-{last}/{len(content)}"}
    )


def _reply(model: BaseModel) -> httpx.Response:
    return httpx.Response(200, content=model.model_dump_json(), headers={"content-type": "application/json"})


def _problem(status: int, code: str, message: str) -> httpx.Response:
    reply = ErrorReply(error=ErrorDetail(message=message, type="worker_error", code=code))
    return httpx.Response(status, content=reply.model_dump_json(), headers={"content-type": "application/json"})
