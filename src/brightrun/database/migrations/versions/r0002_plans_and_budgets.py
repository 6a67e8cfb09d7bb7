"""What was planned and what was measured, what a job may cost, and owners' budgets."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(12, 4).with_variant(sa.BigInteger(), "sqlite")
ADDED: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "training_jobs": {
        "plan": sa.JSON(),
        "cap_usd": MONEY,
        "budget_told_percent": sa.Integer(),
        "keep_adapter_until": TIME,
    },
    "training_attempts": {"measured": sa.JSON()},
    "training_metrics_history": {"memory_bytes": sa.BigInteger()},
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind), schema=_schema())
    op.create_table(
        "budgets",
        sa.Column("owner_id", sa.String(255), nullable=False),
        sa.Column("month_usd", MONEY),
        sa.Column("default_cap_usd", MONEY),
        sa.Column("told_month", sa.String(7)),
        sa.Column("told_percent", sa.Integer()),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name="pk_budgets"),
        schema=_schema(),
    )


def downgrade() -> None:
    op.drop_table("budgets", schema=_schema())
    for table, columns in reversed(ADDED.items()):
        for name in reversed(columns):
            op.drop_column(table, name, schema=_schema())


def _schema() -> str | None:
    return "train" if op.get_context().dialect.name == "postgresql" else None
