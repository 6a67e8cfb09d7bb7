"""Run by Alembic, never imported: applies the steps to the connection that `brightrun.database.schema` hands over."""

from __future__ import annotations

from alembic import context

from brightrun.database.schema import VERSION_TABLE, version_schema
from brightrun.database.tables import Table

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    version_table=VERSION_TABLE,
    version_table_schema=version_schema(connection),
    transactional_ddl=True,
)
context.run_migrations()
