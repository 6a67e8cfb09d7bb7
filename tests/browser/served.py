"""A studio of tests behind a real port, in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from brightrun.jobs.studio import Studio
from brightrun.web.access import Access, LoopbackAccess
from brightrun.web.app import create_app
from tests.unit.web_studio import ME


@contextmanager
def served(studio: Studio, access: Access | None = None) -> Iterator[str]:
    """Its address."""
    # Named as TCP, else asyncio leaves Nagle's algorithm on and every small answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        app = create_app(studio, access or LoopbackAccess(ME))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()
