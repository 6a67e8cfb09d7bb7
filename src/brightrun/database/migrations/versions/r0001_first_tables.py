"""The first tables: files, jobs, attempts, events, metrics, artifacts, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(36)
NAME = sa.String(255)
WORD = sa.String(32)
SHA256 = sa.String(64)
TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(12, 4).with_variant(sa.BigInteger(), "sqlite")
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _training_files()
    _training_jobs()
    _training_attempts()
    _training_events()
    _training_metrics_history()
    _model_artifacts()
    _api_tokens()


def downgrade() -> None:
    for table in (
        "api_tokens",
        "model_artifacts",
        "training_metrics_history",
        "training_events",
        "training_attempts",
        "training_jobs",
        "training_files",
    ):
        op.drop_table(table, schema=_schema())


def _schema() -> str | None:
    return "train" if op.get_context().dialect.name == "postgresql" else None


def _training_files() -> None:
    _create(
        "training_files",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", NAME, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("format", sa.String(64)),
        sa.Column("storage_path", sa.Text, nullable=False),
        sa.Column("audit", sa.JSON),
        sa.Column("conversations", sa.BigInteger),
        sa.Column("answers", sa.BigInteger),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME),
    )
    _index("training_files", "owner_id", "created_at", "id")
    _index("training_files", "owner_id", "sha256")


def _training_jobs() -> None:
    _create(
        "training_jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", NAME, nullable=False),
        sa.Column("training_file_id", ID, nullable=False),
        sa.Column("retry_of", ID),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("reason", WORD),
        sa.Column("message", sa.Text),
        sa.Column("hint", sa.Text),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("hyperparameters", sa.JSON, nullable=False),
        sa.Column("compute", sa.JSON, nullable=False),
        sa.Column("metrics", sa.JSON),
        sa.Column("current_step", sa.BigInteger),
        sa.Column("total_steps", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        *(sa.Column(name, TIME) for name in ("cancel_requested_at", "started_at", "completed_at")),
        *(sa.Column(name, TIME, nullable=False) for name in ("created_at", "status_changed_at")),
        sa.Column("estimated_cost_usd", MONEY),
        sa.Column("estimated_seconds", sa.Double),
        sa.Column("actual_cost_usd", MONEY),
        sa.Column("runpod_pod_id", NAME),
        sa.Column("lora_artifact_path", sa.Text),
        sa.Column("idempotency_key", NAME),
        sa.Column("idempotency_hash", SHA256),
        sa.Column("claim_owner", NAME),
        sa.Column("claim_token", ID),
        sa.Column("claim_expires_at", TIME),
        sa.Column("next_look_at", TIME),
        _unique("training_jobs", "owner_id", "idempotency_key"),
        _references("training_jobs", "training_file_id", "training_files"),
    )
    _index("training_jobs", "owner_id", "created_at", "id")
    _index("training_jobs", "owner_id", "status", "created_at", "id")
    _index("training_jobs", "status", "status_changed_at")
    _index("training_jobs", "next_look_at")
    _index("training_jobs", "training_file_id")


def _training_attempts() -> None:
    _create(
        "training_attempts",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("machine_name", NAME, nullable=False),
        sa.Column("machine_id", NAME),
        sa.Column("worker_url", sa.Text),
        sa.Column("launch_intended_at", TIME, nullable=False),
        sa.Column("launched_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("end_reason", WORD),
        sa.Column("price_usd_per_hour", MONEY),
        sa.Column("cost_usd", MONEY),
        sa.Column("last_heard_at", TIME),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        _unique("training_attempts", "job_id", "number"),
        _unique("training_attempts", "machine_name"),
        _references("training_attempts", "job_id", "training_jobs"),
    )
    _index("training_attempts", "ended_at", "id")


def _training_events() -> None:
    _create(
        "training_events",
        sa.Column("id", COUNTED, nullable=False, autoincrement=True),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("step", sa.BigInteger),
        sa.Column("total_steps", sa.BigInteger),
        sa.Column("message", sa.Text),
        sa.Column("reason", WORD),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("happened_at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        _unique("training_events", "job_id", "attempt", "sequence"),
        _references("training_events", "job_id", "training_jobs"),
        counted=True,
    )
    _index("training_events", "job_id", "id")


def _training_metrics_history() -> None:
    _create(
        "training_metrics_history",
        sa.Column("id", COUNTED, nullable=False, autoincrement=True),
        sa.Column("training_job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("epoch", "loss", "learning_rate", "grad_norm", "tokens_per_second")),
        sa.Column("recorded_at", TIME, nullable=False),
        _unique("training_metrics_history", "training_job_id", "kind", "step"),
        _references("training_metrics_history", "training_job_id", "training_jobs"),
        counted=True,
    )
    op.create_index(
        "ix_training_metrics_history_block",
        "training_metrics_history",
        ["training_job_id", "kind", "block", "loss", "step"],
        schema=_schema(),
    )


def _model_artifacts() -> None:
    _create(
        "model_artifacts",
        sa.Column("id", ID, nullable=False),
        sa.Column("training_job_id", ID, nullable=False),
        sa.Column("owner_id", NAME, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("artifact_type", WORD, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("storage_path", sa.Text, nullable=False),
        sa.Column("file_size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("validation_loss", sa.Double),
        sa.Column("validation_perplexity", sa.Double),
        sa.Column("human_eval_score", sa.Double),
        sa.Column("deployment_status", WORD, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        _unique("model_artifacts", "training_job_id", "name"),
        _references("model_artifacts", "training_job_id", "training_jobs"),
    )
    _index("model_artifacts", "owner_id", "created_at", "id")


def _api_tokens() -> None:
    _create(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", NAME, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("token_sha256", SHA256, nullable=False),
        sa.Column("prefix", WORD, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME),
        sa.Column("revoked_at", TIME),
        _unique("api_tokens", "token_sha256"),
    )
    _index("api_tokens", "owner_id", "created_at", "id")


def _create(table: str, *parts: sa.schema.SchemaItem, counted: bool = False) -> None:
    key = sa.PrimaryKeyConstraint("id", name=f"pk_{table}")
    op.create_table(table, *parts, key, schema=_schema(), sqlite_autoincrement=counted)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), schema=_schema())


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _references(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    schema = _schema()
    target = f"{schema}.{other}.id" if schema else f"{other}.id"
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}_{other}", ondelete="RESTRICT")
