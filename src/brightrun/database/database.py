"""The door to the database: one object per URL, sessions that commit at their end, migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from brightrun.database import schema
from brightrun.database.column_types import to_json
from brightrun.database.tables import SCHEMA
from brightrun.errors import BrightRunError, InputError

_READING = "brightrun_reading"
_CONNECTIONS = 15


class DatabaseUnavailable(BrightRunError):
    """The database did not answer, is locked for too long, or ran out of room. Nothing of the session was kept."""

    code = "database_unavailable"
    http_status = 503
    default_hint = "Try again in a moment; check the database with `brightrun doctor` if it lasts."


class Database:
    """A database of the studio.

    Args:
        url: `sqlite:///file` or `postgresql://…` (`postgres://` too); PostgreSQL is reached with psycopg 3.
        lock_wait_seconds: How long a writer waits for SQLite's lock, or a caller for a free connection.

    Raises:
        InputError: the URL is not one of these.
    """

    def __init__(self, url: str, *, lock_wait_seconds: float = 60.0) -> None:
        self.url = _read_url(url)
        self.engine = _sqlite(self.url, lock_wait_seconds) if self.is_sqlite else _postgres(self.url, lock_wait_seconds)
        self._reading_engine = self._read_only(self.engine)

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that may write. Commits when the block ends well, rolls back otherwise.

        Raises:
            DatabaseUnavailable: see there.
        """
        with _told_plainly(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads one steady picture; on SQLite it waits for no writer.

        Raises:
            DatabaseUnavailable: see there.
        """
        with _told_plainly(), Session(self._reading_engine, expire_on_commit=False) as session:
            yield session  # closing ends the transaction and, unlike a rollback, leaves what was read readable

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables to a revision ("base" removes them). Safe when several studios start at once.

        Raises:
            DatabaseUnavailable: see there.
        """
        with _told_plainly(), self.engine.begin() as connection:
            schema.migrate(connection, revision)

    def revision(self) -> str | None:
        """The revision the tables are at; None: there are none yet."""
        with _told_plainly(), self._reading_engine.connect() as connection:
            return schema.current_revision(connection)

    def is_current(self) -> bool:
        return self.revision() == schema.newest_revision()

    def close(self) -> None:
        self.engine.dispose()

    def _read_only(self, engine: Engine) -> Engine:
        if self.is_sqlite:
            return engine.execution_options(**{_READING: True})
        return engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InputError("The database URL cannot be read.", hint=_URL_HINT) from error
    backend = url.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InputError(f"There is no support for a {backend} database.", hint=_URL_HINT)
    if url.database in {None, "", ":memory:"} or "mode=memory" in text:
        raise InputError("A database in memory would be lost with the process.", hint=_URL_HINT)
    return url.set(drivername="sqlite+pysqlite")


_URL_HINT = "Use sqlite:///path/to/studio.db or postgresql://user:password@host/database."


def _sqlite(url: URL, lock_wait_seconds: float) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": lock_wait_seconds, "check_same_thread": False},
        execution_options={"schema_translate_map": {SCHEMA: None}},
        json_serializer=to_json,
        pool_size=_CONNECTIONS,
        pool_timeout=lock_wait_seconds,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a lock that is asked for after a read fails instead of waiting."""
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reading else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _postgres(url: URL, lock_wait_seconds: float) -> Engine:
    return create_engine(
        url,
        # Prepared statements do not survive a pooler that hands connections on between transactions.
        connect_args={"prepare_threshold": None, "connect_timeout": 10},
        json_serializer=to_json,
        pool_size=_CONNECTIONS,
        pool_timeout=lock_wait_seconds,
        pool_pre_ping=True,
    )


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else "no connection is free"
        raise DatabaseUnavailable(f"The database cannot be used now: {cause.strip().splitlines()[0]}") from error
