"""Migrations on both databases: up, down, up again; and they build what the models say."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BLANK_SCHEMA, MetaData, inspect

from brightrun.database import jobs
from brightrun.database.database import Database
from brightrun.database.tables import SCHEMA, Table
from tests.contract.database_rows import OWNER, add_job
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)

NAMES = {
    "api_tokens",
    "budgets",
    "model_artifacts",
    "training_attempts",
    "training_events",
    "training_files",
    "training_jobs",
    "training_metrics_history",
}


def tables(database: Database) -> set[str]:
    schema = None if database.is_sqlite else SCHEMA
    return set(inspect(database.engine).get_table_names(schema=schema)) - {"alembic_version"}


def test_up_down_and_up_again(database_url: str) -> None:
    database = Database(database_url)
    assert database.revision() is None
    assert not database.is_current()
    for _ in range(2):
        database.migrate()
        assert tables(database) == NAMES
        assert database.is_current()
        database.migrate("base")
        assert tables(database) == set()
        assert database.revision() is None
    database.close()


def test_migrating_again_keeps_the_rows(database: Database) -> None:
    with database.session() as session:
        add_job(session)
    database.migrate()
    with database.reading() as session:
        assert len(jobs.list_page(session, owner_id=OWNER).items) == 1


def test_models_and_migrations_agree(database: Database) -> None:
    models = Table.metadata
    schema = None if database.is_sqlite else SCHEMA
    if database.is_sqlite:
        models = MetaData(naming_convention=Table.metadata.naming_convention)
        for table in Table.metadata.sorted_tables:
            without_schema: Any = {"schema": None, "referred_schema_fn": lambda *_: BLANK_SCHEMA}
            table.to_metadata(models, **without_schema)
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_schemas": not database.is_sqlite,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == schema,
        "version_table_schema": schema,
    }
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, models) == []


def test_the_comparison_sees_a_difference(database: Database) -> None:
    """Guards the test above: a table that differs is told."""
    with database.engine.begin() as connection:
        name = "training_jobs" if database.is_sqlite else f"{SCHEMA}.training_jobs"
        connection.exec_driver_sql(f"ALTER TABLE {name} DROP COLUMN hint")
    with pytest.raises(AssertionError, match="hint"):
        test_models_and_migrations_agree(database)


def test_the_tables_leave_the_public_schema_alone(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE public.training_jobs (older text)")
    database.migrate()
    database.migrate("base")
    assert inspect(database.engine).get_table_names(schema="public") == ["training_jobs"]
    database.close()


def test_studios_that_start_together_migrate_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    failures: list[BaseException] = []

    def start(database: Database) -> None:
        try:
            database.migrate()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert tables(databases[0]) == NAMES
    for database in databases:
        database.close()
