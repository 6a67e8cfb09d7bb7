"""Columns, kinds and JSON keys get the field's standard names (`contract/earlier_names.py` lists them)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from brightrun.contract.earlier_names import with_current_names

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RENAMED = {
    "training_jobs": {
        "cap_usd": "job_cap_usd",
        "budget_told_percent": "budget_warned_percent",
        "keep_adapter_until": "export_until",
        "runpod_pod_id": "machine_id",
        "next_look_at": "next_check_at",
    },
    "training_attempts": {"last_heard_at": "last_seen_at", "measured": "actuals"},
    "budgets": {
        "month_usd": "monthly_budget_usd",
        "default_cap_usd": "default_job_cap_usd",
        "told_month": "warned_month",
        "told_percent": "warned_percent",
    },
}
DOCUMENTS = {
    "training_files": ("audit",),
    "training_jobs": ("spec", "hyperparameters", "compute", "metrics", "plan"),
    "training_attempts": ("actuals",),
    "training_events": ("data",),
}
VALUES = (
    ("training_attempts", "provider", "standing_worker", "static_worker"),
    ("training_metrics_history", "kind", "held_out", "validation"),
    ("model_artifacts", "artifact_type", "unproven_adapter", "partial_adapter"),
)
_BATCH = 1000


def upgrade() -> None:
    for table, columns in RENAMED.items():
        for old, new in columns.items():
            op.alter_column(table, old, new_column_name=new, schema=_schema())
    _rename_index("next_look_at", "next_check_at")
    for table, column, old, new in VALUES:
        _replace(table, column, old, new)
    for table, columns_of_json in DOCUMENTS.items():
        for column in columns_of_json:
            _rewrite(table, column)


def downgrade() -> None:
    """Columns and kinds go back; JSON keeps its current keys, which version 0.1 reads as unknown ones."""
    for table, column, old, new in VALUES:
        _replace(table, column, new, old)
    _rename_index("next_check_at", "next_look_at")
    for table, columns in RENAMED.items():
        for old, new in columns.items():
            op.alter_column(table, new, new_column_name=old, schema=_schema())


def _rename_index(old: str, new: str) -> None:
    """The index follows its column's name; the column itself is renamed by then (or still is, on the way down)."""
    op.drop_index(f"ix_training_jobs_{old}", "training_jobs", schema=_schema())
    op.create_index(f"ix_training_jobs_{new}", "training_jobs", [_current(old, new)], schema=_schema())


def _current(old: str, new: str) -> str:
    names = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("training_jobs", schema=_schema())}
    return new if new in names else old


def _replace(table: str, column: str, old: str, new: str) -> None:
    rows = _table(table, column)
    op.execute(rows.update().where(rows.c[column] == old).values({column: new}))


def _rewrite(table: str, column: str) -> None:
    """Every JSON document of a column with current names; what has them already is not written."""
    rows = _table(table, "id", column)
    connection = op.get_bind()
    for identifier, text in _documents(rows, column):
        document = json.loads(text)
        renamed = with_current_names(document)
        if renamed != document:
            value = sa.cast(sa.literal(json.dumps(renamed, separators=(",", ":"))), sa.JSON)
            if connection.dialect.name == "sqlite":
                value = sa.literal(json.dumps(renamed, separators=(",", ":")))  # type: ignore[assignment]
            connection.execute(rows.update().where(rows.c.id == identifier).values({column: value}))


def _documents(rows: sa.TableClause, column: str) -> Iterator[tuple[Any, str]]:
    """Keys and documents as text, read in batches so that a million events need no memory."""
    last: Any = None
    query = sa.select(rows.c.id, sa.cast(rows.c[column], sa.Text)).where(rows.c[column].is_not(None))
    while True:
        behind = query if last is None else query.where(rows.c.id > last)
        batch = op.get_bind().execute(behind.order_by(rows.c.id).limit(_BATCH)).all()
        yield from ((identifier, text) for identifier, text in batch if text not in (None, "null"))
        if len(batch) < _BATCH:
            return
        last = batch[-1][0]


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns), schema=_schema())


def _schema() -> str | None:
    return "train" if op.get_context().dialect.name == "postgresql" else None
