"""What every request passes on its way in and out: its id, the headers that guard a browser, the limit of its body."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brightrun.web.problems import BodyTooLarge, problem

_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


def security_headers(*, https: bool) -> dict[str, str]:
    """For every answer that does not set them itself."""
    return _SECURITY_HEADERS | ({"strict-transport-security": "max-age=31536000"} if https else {})


class RequestIdMiddleware:
    """Gives a request an id and its answer the headers; the id is in `request.state.request_id`."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str]) -> None:
        self._app, self._headers = app, dict(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_named)


class BodyLimitMiddleware:
    """Refuses a body that is larger than its path allows, by what it says of itself or while it is read."""

    def __init__(self, app: ASGIApp, *, limit_of: Callable[[str, str], int]) -> None:
        self._app, self._limit_of = app, limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["method"], scope["path"])
        said = Headers(scope=scope).get("content-length", "0")
        if not (said.isascii() and said.isdigit()) or len(said) > 18 or int(said) > limit:
            await problem(413, str(BodyTooLarge().detail), code="body_too_large")(scope, receive, send)
            return
        seen = 0

        async def receive_limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
            if seen > limit:
                raise BodyTooLarge
            return message

        await self._app(scope, receive_limited, send)


class HeadMiddleware:
    """Answers HEAD with what GET would say, without its body; a stream that never ends is broken off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_told = False

        async def send_head(message: Message) -> None:
            nonlocal is_told
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_told:
                is_told = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_until_told() -> Message:
            return {"type": "http.disconnect"} if is_told else await receive()

        await self._app({**scope, "method": "GET"}, receive_until_told, send_head)
