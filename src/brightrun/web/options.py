"""What the web room may be tuned by; tests pass their own sleep so that nothing waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import anyio

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Sizes in bytes, pauses in seconds.

    Attributes:
        upload_bytes: Largest dataset.
        webhook_bytes: Largest batch of a worker; a worker halves its batches when this is too little.
        stored_bytes: Largest file put through a storage link, whatever the link says.
        body_bytes: Largest body of any other request.
        poll_seconds: How often a stream looks for news of its job.
        heartbeat_seconds: How long a stream is silent at most.
        stream_seconds: A stream ends after this and is opened again by its reader, who is then known afresh.
        link_lifetime: How long the link to an artifact is good.
        https: The studio is reached over TLS; cookies and headers say so.
        sleep: Waits so many seconds.
        closing: Whether the server is about to stop; streams then end by themselves and are not cut off.
    """

    upload_bytes: int = 1024 * MIB
    webhook_bytes: int = 4 * MIB
    stored_bytes: int = 64 * 1024 * MIB
    body_bytes: int = 1 * MIB
    poll_seconds: float = 0.5
    heartbeat_seconds: float = 15.0
    stream_seconds: float = 3600.0
    link_lifetime: timedelta = timedelta(minutes=15)
    https: bool = False
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    closing: Callable[[], bool] = lambda: False
