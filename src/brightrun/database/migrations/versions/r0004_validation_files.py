"""A job may have a validation dataset of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMN = "validation_file_id"
INDEX, KEY = f"ix_training_jobs_{COLUMN}", f"fk_training_jobs_{COLUMN}_training_files"


def upgrade() -> None:
    if _schema() is None:
        # SQLite takes a reference only together with its column, which alembic does not write.
        reference = f"CONSTRAINT {KEY} REFERENCES training_files (id)"
        op.execute(f"ALTER TABLE training_jobs ADD COLUMN {COLUMN} VARCHAR(36) {reference}")
    else:
        op.add_column("training_jobs", sa.Column(COLUMN, sa.String(36)), schema=_schema())
        op.create_foreign_key(
            KEY,
            "training_jobs",
            "training_files",
            [COLUMN],
            ["id"],
            source_schema=_schema(),
            referent_schema=_schema(),
        )
    op.create_index(INDEX, "training_jobs", [COLUMN], schema=_schema())


def downgrade() -> None:
    """Which dataset validated a job is forgotten; how its data were divided stays in its folder."""
    op.drop_index(INDEX, "training_jobs", schema=_schema())
    op.drop_column("training_jobs", COLUMN, schema=_schema())


def _schema() -> str | None:
    return "train" if op.get_context().dialect.name == "postgresql" else None
