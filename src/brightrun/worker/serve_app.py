"""The worker server over HTTP: routes, the bearer token, errors. Decides nothing."""

from __future__ import annotations

import hmac
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from brightrun.byte_ranges import RangeRefused, byte_range
from brightrun.contract.messages import (
    ArtifactsReply,
    ErrorDetail,
    ErrorReply,
    HealthReply,
    StartRequest,
    StatusReply,
    StopRequest,
)
from brightrun.errors import BrightRunError, InputError, NotEnoughDisk
from brightrun.files import write_text
from brightrun.worker.artifacts import read_range
from brightrun.worker.fetch import FileMismatch
from brightrun.worker.server import UnknownJob, WorkerBusy, WorkerServer

TOKEN_KEY = "TRAINING_WORKER_TOKEN"  # noqa: S105 the name of a setting
_MAX_BODY_BYTES = 8 << 20
_STATUSES: dict[type[BrightRunError], tuple[int, str]] = {
    UnknownJob: (404, "not_found_error"),
    WorkerBusy: (409, "conflict_error"),
    FileMismatch: (422, "invalid_request_error"),
    NotEnoughDisk: (409, "conflict_error"),  # not a 5xx: asked again, it would answer the same
}


def create_app(server: WorkerServer, token: str) -> FastAPI:
    """The routes over `server`; every one of them asks for the bearer token."""
    app = FastAPI(title="Bright Run worker", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_Guard, token=token)
    _add_errors(app)

    @app.get("/health")
    def health() -> HealthReply:
        return server.health()

    @app.post("/training/start")
    def start(request: StartRequest) -> StatusReply:
        return server.start(request)

    @app.get("/training/status/{job_id}")
    def status(
        job_id: str, after: Annotated[int, Query(ge=0)] = 0, attempt: Annotated[int | None, Query(ge=1)] = None
    ) -> StatusReply:
        return server.status(job_id, after=after, attempt=attempt)

    @app.post("/training/stop/{job_id}")
    def stop(job_id: str, request: StopRequest | None = None) -> StatusReply:
        asked = request or StopRequest()
        return server.stop(job_id, export=asked.export, graceful_stop_reason=asked.graceful_stop_reason)

    @app.get("/training/artifacts/{job_id}")
    def artifacts(job_id: str) -> ArtifactsReply:
        return server.artifacts(job_id)

    @app.get("/training/artifacts/{job_id}/{name:path}")
    def artifact(job_id: str, name: str, wanted: Annotated[str | None, Header(alias="range")] = None) -> Response:
        return _send_file(server.artifact(job_id, name), wanted)

    return app


def serve(
    root: Path,
    *,
    host: str,
    port: int,
    port_file: Path | None = None,
    only: str | None = None,
    models: Path | None = None,
    worker: str | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, which end the job that runs. Port 0 takes a free one.

    Raises:
        InputError: the token is not set, the models' folder is not there, or the address cannot be had.
    """
    token = os.environ.pop(TOKEN_KEY, "")
    if not token:
        raise InputError(
            f"{TOKEN_KEY} is not set.", hint=f"Set {TOKEN_KEY} to the secret the studio has for this worker."
        )
    if models is not None and not models.is_dir():
        raise InputError(
            f"There is no folder {models}.", hint="Give --models the folder that `brightrun model pull` pulls into."
        )
    listener = _listen(host, port)
    own = None if models is None else models.resolve()
    server = WorkerServer(root.resolve(), worker=worker or socket.gethostname(), only=only, models=own)
    server.find_again()
    config = uvicorn.Config(
        create_app(server, token), log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="off"
    )
    if port_file is not None:
        write_text(port_file, f"{listener.getsockname()[1]}\n")
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("The worker server was asked to end.")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, so that asyncio knows it for TCP and turns Nagle's delay off.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # before the port is told: whoever reads it may connect at once
    except OSError as error:
        listener.close()
        raise InputError(
            f"The address {host}:{port} cannot be had: {error.strerror}.", hint="Choose another --port."
        ) from error
    return listener


def _send_file(path: Path, wanted: str | None) -> Response:
    size = path.stat().st_size
    headers = {"accept-ranges": "bytes", "cache-control": "no-store"}
    try:
        part = byte_range(wanted, size)
    except RangeRefused:
        reply = _error(416, "invalid_request_error", "range_not_satisfiable", "The range begins behind the file's end.")
        reply.headers["content-range"] = f"bytes */{size}"
        return reply
    start, end = part or (0, size)
    headers["content-length"] = str(end - start)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(
        read_range(path, start, end),
        status_code=200 if part is None else 206,
        headers=headers,
        media_type="application/octet-stream",
    )


class _Guard:
    """Asks every request for the token before anything else of it is read, and refuses bodies without measure."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        app: ASGIApp = self._app
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            app = _error(401, "authentication_error", "invalid_token", "The bearer token is missing or wrong.")
        elif b"transfer-encoding" in headers or int(headers.get(b"content-length", b"0")) > _MAX_BODY_BYTES:
            app = _error(413, "invalid_request_error", "body_too_large", "The request is larger than a job can be.")
        await app(scope, receive, send)


def _add_errors(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, BrightRunError)
        status, kind = next((s for cls, s in _STATUSES.items() if isinstance(error, cls)), (500, "server_error"))
        if isinstance(error, InputError):
            status, kind = 409, "conflict_error"
        return _error(status, kind, error.code, f"{error.message} {error.hint}".strip())

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first: dict[str, Any] = dict(error.errors()[0])
        place = ".".join(str(part) for part in first["loc"] if part != "body")
        return _error(422, "invalid_request_error", "malformed_message", str(first["msg"]), place or None)

    async def no_route(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = "not_found_error" if error.status_code == 404 else "invalid_request_error"
        return _error(error.status_code, kind, kind.removesuffix("_error"), str(error.detail))

    async def broken(_: Request, error: Exception) -> Response:
        return _error(500, "server_error", "internal", f"The worker failed: {type(error).__name__}.")

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        BrightRunError: refused,
        RequestValidationError: malformed,
        HTTPException: no_route,
        Exception: broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _error(status: int, kind: str, code: str, message: str, param: str | None = None) -> JSONResponse:
    body = ErrorReply(error=ErrorDetail(message=message, type=kind, param=param, code=code))
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body.model_dump(mode="json"), status_code=status, headers=headers)
