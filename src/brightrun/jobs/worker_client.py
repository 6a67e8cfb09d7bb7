"""Speaks with a worker's server: start, status, stop, artifacts. Knows no job's row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from brightrun.contract.job_spec import file_sha256
from brightrun.contract.messages import ArtifactFile, ArtifactsReply, ErrorReply, StartRequest, StatusReply, StopRequest
from brightrun.contract.states import EndReason
from brightrun.errors import BrightRunError, ContractError

Reply = TypeVar("Reply", StatusReply, ArtifactsReply)
_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
_BLOCK_BYTES = 1 << 20


class WorkerUnreachable(BrightRunError):
    """The worker did not answer; it may be starting, busy, or gone."""

    code = "worker_unreachable"
    http_status = 503


class WorkerRefused(BrightRunError):
    """The worker answered, and said no."""

    code = "worker_refused"


class WorkerClient:
    """One worker server. `transport` is httpx's own seam, for tests."""

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"authorization": f"Bearer {token}", "user-agent": "brightrun-studio"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport)

    def __enter__(self) -> WorkerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def start(self, request: StartRequest) -> StatusReply:
        """Start the job there; the same attempt may be started any number of times."""
        return self._status(self._send("POST", "/training/start", content=request.model_dump_json()))

    def status(self, job_id: str, *, after: int, attempt: int | None = None) -> StatusReply:
        """News after a line; of an earlier attempt where one is named and its journal is there."""
        query = {"after": after} | ({} if attempt is None else {"attempt": attempt})
        return self._status(self._send("GET", f"/training/status/{job_id}", params=query))

    def stop(self, job_id: str, *, export: bool = False) -> StatusReply:
        body = StopRequest(export=export).model_dump_json()
        return self._status(self._send("POST", f"/training/stop/{job_id}", content=body))

    def graceful_stop(self, job_id: str, reason: EndReason) -> StatusReply:
        """Have the run end after its step and make an adapter of it; answered at once, to be asked until it is done."""
        body = StopRequest(export=True, graceful_stop_reason=reason).model_dump_json()
        return self._status(self._send("POST", f"/training/stop/{job_id}", content=body))

    def artifacts(self, job_id: str) -> ArtifactsReply:
        reply = self._send("GET", f"/training/artifacts/{job_id}")
        return _parsed(ArtifactsReply, reply)

    def fetch(
        self, job_id: str, artifact: ArtifactFile, target: Path, *, heartbeat: Callable[[], None] = lambda: None
    ) -> None:
        """Bring one file home; a broken download goes on where it broke. `keep` is called before every block of it.

        Raises:
            ContractError: its bytes are not the ones that were announced.
        """
        for _ in range(5):
            have = target.stat().st_size if target.exists() else 0
            if have >= artifact.bytes:
                break
            self._append(job_id, artifact, target, have, heartbeat)
        if not target.exists():
            target.touch()
        if target.stat().st_size != artifact.bytes or file_sha256(target) != artifact.sha256:
            target.unlink()
            raise ContractError(f"{artifact.name} arrived with other bytes than the worker announced.")

    def _append(
        self, job_id: str, artifact: ArtifactFile, target: Path, have: int, heartbeat: Callable[[], None]
    ) -> None:
        path = f"/training/artifacts/{job_id}/{quote(artifact.name)}"
        headers = {"range": f"bytes={have}-"} if have else {}
        with _reached(), self._client.stream("GET", path, headers=headers) as reply:
            if reply.status_code not in {200, 206}:
                reply.read()
                raise _refusal(reply)
            with target.open("ab" if reply.status_code == 206 else "wb") as stream:
                for block in reply.iter_bytes(_BLOCK_BYTES):
                    heartbeat()
                    stream.write(block)

    def _send(self, method: str, path: str, **arguments: object) -> httpx.Response:
        if "content" in arguments:
            arguments["headers"] = {"content-type": "application/json"}
        with _reached():
            reply = self._client.request(method, path, **arguments)  # type: ignore[arg-type]
        if reply.is_success:
            return reply
        raise _refusal(reply)

    def _status(self, reply: httpx.Response) -> StatusReply:
        return _parsed(StatusReply, reply)


def _parsed(kind: type[Reply], reply: httpx.Response) -> Reply:
    try:
        return kind.model_validate_json(reply.content)
    except ValidationError as error:
        raise ContractError(f"The worker's answer to {reply.request.url.path} cannot be read.") from error


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise WorkerUnreachable(f"The worker does not answer: {type(error).__name__}.") from error


def _refusal(reply: httpx.Response) -> BrightRunError:
    if reply.status_code >= 500:
        return WorkerUnreachable(f"The worker answered {reply.status_code}.")
    try:
        said = ErrorReply.model_validate_json(reply.content).error
    except ValidationError:
        return WorkerRefused(f"The worker answered {reply.status_code}.", details={"status": reply.status_code})
    return WorkerRefused(said.message, details={"status": reply.status_code, "code": said.code})
