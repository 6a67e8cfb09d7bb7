"""Sessions: all or nothing, waiting for a lock instead of failing, readers that wait for nobody."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from brightrun.database import files, jobs
from brightrun.database.database import Database, DatabaseUnavailable
from brightrun.database.tables import TrainingJob
from tests.contract.database_rows import OWNER, add_file, add_job
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)


def count(database: Database) -> int:
    with database.reading() as session:
        return len(files.list_page(session, owner_id=OWNER, limit=200).items)


def test_a_failed_session_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError, match="midway"), database.session() as session:  # noqa: PT012
        add_file(session)
        raise RuntimeError("midway")
    assert count(database) == 0
    with database.session() as session:
        add_file(session)
    assert count(database) == 1


def test_what_was_read_stays_readable(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
    with database.reading() as session:
        stored = jobs.get(session, job.id)
    assert stored is not None
    assert (stored.name, job.name) == ("A job", "A job")


def test_a_reading_session_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, DatabaseUnavailable)), database.reading() as session:
        add_file(session)
    with database.session() as session:
        add_file(session)
    assert count(database) == 1


def test_a_reader_sees_one_steady_picture(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
    with database.reading() as reader:
        before = jobs.get(reader, job.id)
        with database.session() as writer:
            writer.execute(update(TrainingJob).values(name="Changed"))
        assert before is not None
        reader.expire_all()
        again = jobs.get(reader, job.id)
        assert again is not None
        assert again.name == "A job"
    with database.reading() as reader:
        after = jobs.get(reader, job.id)
        assert after is not None
        assert after.name == "Changed"


def test_writers_wait_their_turn(database: Database) -> None:
    """Eight threads read a number and write it back one higher, ten times each: none fails, none is lost."""
    with database.session() as session:
        job = add_job(session, current_step=0)
    failures: list[BaseException] = []

    def climb() -> None:
        try:
            for _ in range(10):
                with database.session() as session:
                    mine = jobs.get(session, job.id, lock=True)
                    assert mine is not None
                    mine.current_step = (mine.current_step or 0) + 1
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=climb) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as session:
        stored = jobs.get(session, job.id)
        assert stored is not None
        assert stored.current_step == 80


@pytest.fixture
def locked(tmp_path: Path) -> sqlite3.Connection:
    """A stranger's connection to studio.db that holds the write lock."""
    Database(f"sqlite:///{tmp_path / 'studio.db'}").migrate()
    stranger = sqlite3.connect(tmp_path / "studio.db", isolation_level=None, check_same_thread=False)
    stranger.execute("BEGIN IMMEDIATE")
    return stranger


def test_sqlite_waits_for_the_lock(locked: sqlite3.Connection, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'studio.db'}")
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        with database.session() as session:
            add_file(session)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(10)
    assert not done.wait(0.3)  # it waits for another, so the time is real
    assert count(database) == 0  # a reader does not
    locked.execute("COMMIT")
    writer.join(20)
    assert done.is_set()
    assert count(database) == 1
    locked.close()
    database.close()


def test_sqlite_gives_up_in_plain_words(locked: sqlite3.Connection, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'studio.db'}", lock_wait_seconds=0.05)
    with pytest.raises(DatabaseUnavailable, match="locked") as caught, database.session() as session:
        add_file(session)
    assert caught.value.http_status == 503
    locked.execute("ROLLBACK")
    with database.session() as session:
        add_file(session)
    assert count(database) == 1
    locked.close()
    database.close()


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/studio.db", f"postgresql://localhost/none?host={tmp_path}"):
        database = Database(url, lock_wait_seconds=0.05)
        with pytest.raises(DatabaseUnavailable):
            database.revision()
        database.close()


def test_sqlite_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'studio.db'}")
    database.migrate()
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    with database.engine.connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
    assert found == wanted
    database.close()
