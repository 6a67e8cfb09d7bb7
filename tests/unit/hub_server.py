"""A stand-in of the hub: a real HTTP server in a thread, and a client that knows no token, no proxy and no cache."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Serve with this handler; yields the address."""
    import huggingface_hub.constants
    import huggingface_hub.file_download
    from huggingface_hub.utils import close_session

    for key in [key for key in os.environ if key.startswith("HF_") or key.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda _: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    close_session()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    close_session()
    server.shutdown()
    thread.join()
    server.server_close()
