"""What the web room may be tuned by; tests pass their own sleep so that nothing waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import anyio

MIB = 1 << 20


class ShownSetting(Protocol):
    """A setting of the installation as people may see it; `value` is absent where none is set and for secrets."""

    @property
    def key(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    @property
    def is_set(self) -> bool: ...
    @property
    def is_secret(self) -> bool: ...
    @property
    def value(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Sizes in bytes, pauses in seconds.

    Attributes:
        upload_bytes: Largest dataset.
        webhook_bytes: Largest batch of a worker; a worker halves its batches when this is too little.
        stored_bytes: Largest file put through a storage link, whatever the link says.
        body_bytes: Largest body of any other request.
        poll_seconds: How often a stream looks for events of its job.
        heartbeat_seconds: How long a stream is silent at most.
        stream_seconds: A stream ends after this and is opened again by its reader, who is then known afresh.
        link_lifetime: How long the link to an artifact is good.
        https: The studio is reached over TLS; cookies and headers say so.
        operator: The owner who runs the installation; only they see what it is connected to and its settings.
        settings: Settings of the installation, for its operator to see.
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
    operator: str = "local"
    settings: Sequence[ShownSetting] = ()
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    closing: Callable[[], bool] = lambda: False
