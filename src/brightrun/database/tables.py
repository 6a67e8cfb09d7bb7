"""The tables of design.md section 7. On PostgreSQL they live in the schema `train`; SQLite has no schemas."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Double, Enum, ForeignKey, Index, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from brightrun.contract.actuals import Actuals
from brightrun.contract.compute import JobCompute
from brightrun.contract.event_data import read_data
from brightrun.contract.job_event import JobEvent
from brightrun.contract.job_metrics import JobMetrics
from brightrun.contract.states import EndReason, JobStatus
from brightrun.contract.step_metrics import STEP_METRICS, StepMetrics
from brightrun.database.column_types import JsonModel, Money, PlainText, UtcDateTime
from brightrun.planning.job_plan import JobPlan

SCHEMA = "train"

ID = String(36)
NAME = String(255)
SHA256 = String(64)
COUNTED = BigInteger().with_variant(Integer, "sqlite")


def new_id() -> str:
    return str(uuid.uuid4())


def _words(enum: type[StrEnum]) -> list[str]:
    return [member.value for member in enum]


def _choice(enum: type[StrEnum]) -> Enum:
    """A closed list kept as text, so that a new member needs no migration."""
    return Enum(enum, native_enum=False, length=32, values_callable=_words, validate_strings=True)


class Table(DeclarativeBase):
    """What all tables share: the schema, the names of constraints, and the types of columns."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: PlainText(),
        float: Double(),
        datetime: UtcDateTime(),
        Decimal: Money(),
        dict[str, Any]: JSON(none_as_null=True),
        JobStatus: _choice(JobStatus),
        EndReason: _choice(EndReason),
        Actuals: JsonModel(Actuals),
        JobCompute: JsonModel(JobCompute),
        JobMetrics: JsonModel(JobMetrics),
        JobPlan: JsonModel(JobPlan),
    }


class TrainingFile(Table):
    """A dataset as it was uploaded, with its audit. Kept for as long as a job names it."""

    __tablename__ = "training_files"
    __table_args__ = (
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "owner_id", "sha256"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(NAME)
    file_name: Mapped[str]
    sha256: Mapped[str] = mapped_column(SHA256)
    bytes: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[str | None] = mapped_column(String(64))
    storage_path: Mapped[str]
    audit: Mapped[dict[str, Any] | None]
    conversations: Mapped[int | None] = mapped_column(BigInteger)
    answers: Mapped[int | None] = mapped_column(BigInteger)
    tokens: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class TrainingJob(Table):
    """One training run as its owner sees it, and who works on it (the claim).

    `plan` is as it was at submit; None also where a version made it that this one cannot read. `job_cap_usd` is what
    all attempts together may cost; `budget_warned_percent` the highest warning that was given. `export_until` stands
    where a job has ended and an adapter of its last checkpoint is still to be fetched, until then at the latest.
    """

    __tablename__ = "training_jobs"
    __table_args__ = (
        UniqueConstraint("owner_id", "idempotency_key"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "owner_id", "status", "created_at", "id"),
        Index(None, "status", "status_changed_at"),
        Index(None, "next_check_at"),
        Index(None, "training_file_id"),
        Index(None, "validation_file_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(NAME)
    training_file_id: Mapped[str] = mapped_column(ID, ForeignKey(TrainingFile.id, ondelete="RESTRICT"))
    validation_file_id: Mapped[str | None] = mapped_column(ID, ForeignKey(TrainingFile.id))
    retry_of: Mapped[str | None] = mapped_column(ID)
    name: Mapped[str]
    status: Mapped[JobStatus]
    reason: Mapped[EndReason | None]
    message: Mapped[str | None]
    hint: Mapped[str | None]
    spec: Mapped[dict[str, Any]]
    base_model: Mapped[str]
    recipe: Mapped[str]
    hyperparameters: Mapped[dict[str, Any]]
    compute: Mapped[JobCompute]
    metrics: Mapped[JobMetrics | None]
    current_step: Mapped[int | None] = mapped_column(BigInteger)
    total_steps: Mapped[int | None] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    cancel_requested_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    status_changed_at: Mapped[datetime]
    estimated_cost_usd: Mapped[Decimal | None]
    estimated_seconds: Mapped[float | None]
    actual_cost_usd: Mapped[Decimal | None]
    plan: Mapped[JobPlan | None]
    job_cap_usd: Mapped[Decimal | None]
    budget_warned_percent: Mapped[int | None]
    export_until: Mapped[datetime | None]
    machine_id: Mapped[str | None] = mapped_column(NAME)
    lora_artifact_path: Mapped[str | None]
    idempotency_key: Mapped[str | None] = mapped_column(NAME)
    idempotency_hash: Mapped[str | None] = mapped_column(SHA256)
    claim_owner: Mapped[str | None] = mapped_column(NAME)
    claim_token: Mapped[str | None] = mapped_column(ID)
    claim_expires_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]


class TrainingAttempt(Table):
    """One machine's try at a job, and its lease: open from the intent to launch until the machine is seen gone."""

    __tablename__ = "training_attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "number"),
        UniqueConstraint("machine_name"),
        Index(None, "ended_at", "id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column(ID, ForeignKey(TrainingJob.id, ondelete="RESTRICT"))
    number: Mapped[int]
    provider: Mapped[str] = mapped_column(String(64))
    machine_name: Mapped[str] = mapped_column(NAME)
    machine_id: Mapped[str | None] = mapped_column(NAME)
    worker_url: Mapped[str | None]
    launch_intended_at: Mapped[datetime]
    launched_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None]
    price_usd_per_hour: Mapped[Decimal | None]
    cost_usd: Mapped[Decimal | None]
    last_seen_at: Mapped[datetime | None]
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    actuals: Mapped[Actuals | None]


class TrainingEvent(Table):
    """What happened to a job: lines of a worker's event log, and the studio's own (those have no sequence)."""

    __tablename__ = "training_events"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "sequence"),
        Index(None, "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ID, ForeignKey(TrainingJob.id, ondelete="RESTRICT"))
    attempt: Mapped[int | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[JobStatus]
    step: Mapped[int | None] = mapped_column(BigInteger)
    total_steps: Mapped[int | None] = mapped_column(BigInteger)
    message: Mapped[str | None]
    reason: Mapped[EndReason | None]
    data: Mapped[dict[str, Any]]
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]

    @property
    def event(self) -> JobEvent:
        """The row as what it tells, its data typed."""
        return JobEvent(
            self.happened_at, self.kind, self.status, read_data(self.kind, self.data or {}), self.step,
            self.total_steps, self.message, self.reason,
        )  # fmt: skip


def _metric_columns() -> dict[str, Any]:
    """A column for each of StepMetrics' fields: 64-bit integers for whole numbers, doubles for the others."""
    whole = {name for name, field in StepMetrics.model_fields.items() if field.annotation == (int | None)}
    return {name: mapped_column(BigInteger if name in whole else Double, nullable=True) for name in STEP_METRICS}


_MetricColumns = type("_MetricColumns", (), _metric_columns())


class TrainingMetric(_MetricColumns, Table):  # type: ignore[misc, valid-type]
    """One point of a job's curves, with a column for each field of StepMetrics.

    `block` is step // 256; with its index a long curve is thinned without a scan.
    """

    __tablename__ = "training_metrics_history"
    __table_args__ = (
        UniqueConstraint("training_job_id", "kind", "step"),
        Index("ix_training_metrics_history_block", "training_job_id", "kind", "block", "loss", "step"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(COUNTED, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column("training_job_id", ID, ForeignKey(TrainingJob.id, ondelete="RESTRICT"))
    attempt: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    step: Mapped[int] = mapped_column(BigInteger)
    block: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[datetime]


class ModelArtifact(Table):
    """A stored file of a job."""

    __tablename__ = "model_artifacts"
    __table_args__ = (
        UniqueConstraint("training_job_id", "name"),
        Index(None, "owner_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    job_id: Mapped[str] = mapped_column("training_job_id", ID, ForeignKey(TrainingJob.id, ondelete="RESTRICT"))
    owner_id: Mapped[str] = mapped_column(NAME)
    attempt: Mapped[int]
    artifact_type: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(NAME)
    storage_path: Mapped[str]
    file_size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(SHA256)
    base_model: Mapped[str]
    validation_loss: Mapped[float | None]
    validation_perplexity: Mapped[float | None]
    human_eval_score: Mapped[float | None]
    deployment_status: Mapped[str] = mapped_column(String(32), default="stored")
    created_at: Mapped[datetime]


class ApiToken(Table):
    """A bearer token, known only by its hash."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        UniqueConstraint("token_sha256"),
        Index(None, "owner_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(NAME)
    name: Mapped[str]
    token_sha256: Mapped[str] = mapped_column(SHA256)
    prefix: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Budget(Table):
    """What an owner wants to spend at most; absent amounts are the studio's settings, or no limit.

    `warned_percent` is the highest warning that was given in `warned_month` (YYYY-MM, UTC).
    """

    __tablename__ = "budgets"

    owner_id: Mapped[str] = mapped_column(NAME, primary_key=True)
    monthly_budget_usd: Mapped[Decimal | None]
    default_job_cap_usd: Mapped[Decimal | None]
    warned_month: Mapped[str | None] = mapped_column(String(7))
    warned_percent: Mapped[int | None]
    updated_at: Mapped[datetime]
