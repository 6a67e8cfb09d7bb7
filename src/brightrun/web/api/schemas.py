"""How datasets, jobs, events and artifacts look in answers. What only the studio needs (claims, keys) is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field

from brightrun.contract.compute import JobCompute
from brightrun.contract.job_metrics import JobMetrics
from brightrun.contract.states import EndReason, JobStatus
from brightrun.contract.verdicts import Verdict
from brightrun.database.pages import Page
from brightrun.database.tables import ModelArtifact, TrainingEvent, TrainingFile, TrainingJob
from brightrun.datasets.audit_report import depends_on_model
from brightrun.web.deps import Answer, Usd

Item = TypeVar("Item", bound=Answer)
Row = TypeVar("Row")
_MADE_UP = frozenset({"object", "can_retry", "adapter", "runpod_pod_id", "verdict", "verdict_reason"})


class Listed(Answer, Generic[Item]):
    """A part of a list; `after` with the last item's id brings the next."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool


class FileView(Answer):
    """A dataset."""

    object: Literal["training.file"] = "training.file"
    id: str
    file_name: str = Field(examples=["conversations.json"])
    bytes: int
    sha256: str = Field(description="Of the bytes as they were uploaded.")
    format: str | None
    conversations: int | None
    answers: int | None = Field(description="Answers that are trained on.")
    tokens: int | None = Field(description="By the Llama 3 tokenizer.")
    refused: bool = Field(description="Whether the audit found an error, so that nothing may be trained on it.")
    depends_on_model: bool = Field(
        False, description="Whether it is refused for Llama 3 alone: another base model may be able to take it."
    )
    created_at: datetime

    @property
    def is_off(self) -> bool:
        """Whether no base model may be trained on it."""
        return self.refused and not self.depends_on_model

    @classmethod
    def of(cls, row: TrainingFile) -> FileView:
        audit = row.audit or {}
        return cls(
            id=row.id, file_name=row.file_name, bytes=row.bytes, sha256=row.sha256, format=row.format,
            conversations=row.conversations, answers=row.answers, tokens=row.tokens,
            refused=bool(audit.get("refused", True)), created_at=row.created_at,
            depends_on_model=depends_on_model(audit),
        )  # fmt: skip


class JobView(Answer):
    """A job as its owner sees it."""

    object: Literal["training.job"] = "training.job"
    id: str
    name: str
    status: JobStatus
    reason: EndReason | None = Field(description="Why it ended otherwise than completed.")
    message: str | None
    hint: str | None
    can_retry: bool = Field(description="Whether trying again makes sense.")
    training_file_id: str
    validation_file_id: str | None = Field(
        description="The dataset that validates it; absent where a part of the training dataset does."
    )
    retry_of: str | None
    base_model: str
    recipe: str
    hyperparameters: dict[str, Any]
    compute: JobCompute
    metrics: JobMetrics | None = Field(description="Of the last step that is known.")
    verdict: Verdict | None = Field(
        description="What the comparison of base and tuned model claims; absent before a job is completed."
    )
    verdict_reason: str | None = Field(description="The verdict in a plain sentence.")
    current_step: int | None
    total_steps: int | None
    attempt: int
    machine_id: str | None = Field(description="The job's machine at its provider.")
    runpod_pod_id: str | None = Field(description="The same, under the name of the product specification.")
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    status_changed_at: datetime
    estimated_cost_usd: Usd | None
    estimated_seconds: float | None
    job_cap_usd: Usd | None = Field(description="What all attempts together may cost; the job stops there.")
    actual_cost_usd: Usd | None
    adapter: Literal["verified", "partial"] | None = Field(
        description="Whether there is one to download. partial: of a checkpoint of a job that ended early."
    )
    export_until: datetime | None = Field(
        description="The job has ended, and an adapter of it is still being downloaded, until then at most."
    )

    @classmethod
    def of(cls, row: TrainingJob) -> JobView:
        # A cancelled job may always be started again by the one who cancelled it.
        may_retry = row.status is JobStatus.FAILED and (row.reason is None or row.reason.text.retry_makes_sense)
        values = {name: getattr(row, name) for name in cls.model_fields if name not in _MADE_UP}
        early = None if row.lora_artifact_path is None else "partial"
        return cls(
            runpod_pod_id=row.machine_id,
            can_retry=may_retry or row.status is JobStatus.CANCELLED,
            adapter="verified" if row.status is JobStatus.COMPLETED else early,
            verdict=None if row.metrics is None else row.metrics.verdict,
            verdict_reason=None if row.metrics is None else row.metrics.verdict_reason,
            **values,
        )


class EventView(Answer):
    """Something that happened to a job: a line of its worker's event log, or what the studio did."""

    object: Literal["training.event"] = "training.event"
    id: int = Field(description="Counts up; streams and lists go on behind it.")
    job_id: str
    attempt: int | None
    sequence: int | None = Field(description="Number of the event log's line; absent where the studio tells.")
    kind: str = Field(examples=["step"])
    status: JobStatus
    step: int | None
    total_steps: int | None
    message: str | None
    reason: EndReason | None
    data: dict[str, Any]
    happened_at: datetime

    @classmethod
    def of(cls, row: TrainingEvent) -> EventView:
        return cls.model_validate(row)


class ArtifactView(Answer):
    """A stored file of a job."""

    object: Literal["training.artifact"] = "training.artifact"
    id: str
    job_id: str
    artifact_type: str = Field(examples=["lora_adapter"])
    name: str = Field(examples=["adapter/adapter_model.safetensors"])
    bytes: int
    sha256: str
    base_model: str
    validation_loss: float | None
    validation_perplexity: float | None
    deployment_status: str
    created_at: datetime
    url: str = Field(description="Where to get it: answers with a link that is good for some minutes.")

    @classmethod
    def of(cls, row: ModelArtifact) -> ArtifactView:
        return cls(
            id=row.id, job_id=row.job_id, artifact_type=row.artifact_type, name=row.name, bytes=row.file_size_bytes,
            sha256=row.sha256, base_model=row.base_model, validation_loss=row.validation_loss,
            validation_perplexity=row.validation_perplexity, deployment_status=row.deployment_status,
            created_at=row.created_at, url=f"/api/training/jobs/{row.job_id}/artifacts/{quote(row.name)}",
        )  # fmt: skip


def page_of(rows: list[Row], limit: int) -> Page[Row]:
    """A page out of rows that were asked for with one more than `limit`."""
    return Page(items=rows[:limit], has_more=len(rows) > limit)
