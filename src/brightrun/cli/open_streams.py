"""Lets a server end although somebody watches: streams of events end at once, and their readers come back later."""

from __future__ import annotations

import asyncio
from types import FrameType

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STREAM = "text/event-stream"


class OpenStreams:
    """Around an app: remembers which answers are streams of events, and ends them when it is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: dict[asyncio.Task[object], asyncio.AbstractEventLoop] = {}
        self._ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None

        async def send_noticing(message: Message) -> None:
            begins = message["type"] == "http.response.start"
            if begins and Headers(raw=message["headers"]).get("content-type", "").startswith(_STREAM):
                self._open[task] = asyncio.get_running_loop()
                if self._ending:
                    task.cancel()
            await send(message)

        try:
            await self._app(scope, receive, send_noticing)
        except asyncio.CancelledError:
            if not (self._ending and task in self._open):
                raise
            task.uncancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._open.pop(task, None)

    def end(self) -> None:
        """End every stream, those that begin from now on too. May be called from a signal's handler."""
        self._ending = True
        for task, loop in list(self._open.items()):
            loop.call_soon_threadsafe(task.cancel)


class StudioServer(uvicorn.Server):
    """A server that ends its streams first when it is to end."""

    def __init__(self, config: uvicorn.Config, streams: OpenStreams) -> None:
        super().__init__(config)
        self._streams = streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._streams.end()
        super().handle_exit(sig, frame)
