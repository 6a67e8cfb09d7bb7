"""Brings the tables from one revision to another. The steps themselves are in migrations/versions."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from brightrun.database.tables import SCHEMA

VERSION_TABLE = "alembic_version"
_LOCK = 0x627269676874  # any number that is ours: two studios that start together migrate one after the other


def migrate(connection: Connection, revision: str) -> None:
    """Up or down to `revision` ("head", "base", or a revision's name) inside the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    config = _config()
    config.attributes["connection"] = connection
    if _is_below(current_revision(connection), revision):
        command.upgrade(config, revision)
    else:
        command.downgrade(config, revision)


def current_revision(connection: Connection) -> str | None:
    """What the database says it is at; None where it was never migrated, or back down to nothing."""
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "version_table_schema": version_schema(connection)}
    )
    return context.get_current_revision()


def newest_revision() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def version_schema(connection: Connection) -> str | None:
    return SCHEMA if connection.dialect.name == "postgresql" else None


def _is_below(current: str | None, wanted: str) -> bool:
    """Whether going to `wanted` is going up."""
    if wanted == "base":
        return False
    script = ScriptDirectory.from_config(_config())
    above = {step.revision for step in script.iterate_revisions(wanted, "base")}
    return current is None or current in above


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
