"""Redeems the links of a store that has no server of its own. The link itself is the permission."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol, runtime_checkable

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from brightrun.errors import LinkRefused
from brightrun.storage.base import Storage
from brightrun.storage.links import LINK_PATH, Grant, receive_upload
from brightrun.web.deps import Answer, OptionsDep, StudioDep
from brightrun.web.problems import declared
from brightrun.web.receive import receive_body, scratch_folder
from brightrun.web.stored_files import send_stored

PREFIX = LINK_PATH
router = APIRouter(prefix=LINK_PATH.rstrip("/"), tags=["storage"])
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

Token = Annotated[str, Path(min_length=1, max_length=4000, description="The last part of a link.")]


class Stored(Answer):
    """A file that was put."""

    bytes: int
    sha256: str | None


@runtime_checkable
class _Redeems(Protocol):
    def redeem(self, token: str, method: str, now: datetime) -> Grant: ...


@router.head("/{token}", include_in_schema=False)
@router.get(
    "/{token}",
    response_class=StreamingResponse,
    responses=declared(403, 404, 416)
    | {200: {"content": _BYTES, "description": "The file."}, 206: {"content": _BYTES, "description": "A range of it."}},
    openapi_extra={"security": []},
)
def download(request: Request, studio: StudioDep, token: Token) -> Response:
    """The file of a link, or one range of it."""
    grant = _redeem(studio.storage, token, request.method, studio.clock())
    return send_stored(
        studio.storage, grant.key, method=request.method, headers=request.headers, file_name=grant.file_name
    )


@router.put(
    "/{token}",
    responses=declared(400, 403, 413),
    openapi_extra={"requestBody": {"content": _BYTES, "required": True}, "security": []},
)
async def upload(request: Request, studio: StudioDep, options: OptionsDep, token: Token) -> Stored:
    """Put the file of a link."""
    grant = _redeem(studio.storage, token, "PUT", studio.clock())
    limit = min(options.stored_bytes, options.stored_bytes if grant.max_bytes is None else grant.max_bytes)
    with scratch_folder(studio.home) as folder:
        received = await receive_body(request, folder, limit=limit)

        def put() -> Stored:
            with received.path.open("rb") as stream:
                receive_upload(studio.storage, grant, stream)
            return Stored(bytes=received.bytes, sha256=received.sha256)

        return await run_in_threadpool(put)


def _redeem(storage: Storage, token: str, method: str, now: datetime) -> Grant:
    if not isinstance(storage, _Redeems):
        raise LinkRefused("The files of this studio are not served by itself.")
    return storage.redeem(token, method, now)
