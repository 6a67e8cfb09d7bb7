"""Everything one finished run has to tell: what report and model card show. Holds facts, draws nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.evaluation.comparison import Comparison


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseModelFacts(_Frozen):
    """The base model."""

    name: str
    hub_id: str | None = None
    revision: str
    license: str | None = Field(None, description="Name of its license; absent where not known.")


class FindingLine(_Frozen):
    """One line of the audit's summary."""

    severity: Literal["info", "warning", "error"]
    check: str
    count: int = Field(ge=0)
    explanation: str


class DatasetFacts(_Frozen):
    """The dataset and what became of it."""

    name: str
    sha256: str
    split_sha256: str | None = None
    conversations: int = Field(description="In the owner's file, and in the validation file where there is one.")
    validation_file: str | None = Field(None, description="Name of the validation file, where one was given.")
    train_conversations: int
    train_answers: int
    validation_conversations: int
    validation_answers: int
    tokens: int = Field(description="Of the training sequences.")
    trained_tokens: int = Field(description="Of the training sequences.")
    repaired: int = Field(description="Places repaired before training, each in the repair log.")
    excluded: int = Field(description="Answers kept as context but not trained on.")
    dropped: int = Field(0, description="Conversations left out.")
    findings: tuple[FindingLine, ...] = ()


class TrainingPoint(_Frozen):
    """One optimizer step; what was not measured is absent."""

    step: int
    loss: float | None
    learning_rate: float | None = None
    grad_norm: float | None = None


class ValidationPoint(_Frozen):
    """Validation loss after a step; step 0 is the untouched base."""

    step: int
    loss: float | None


class RunReport(_Frozen):
    """A finished run, as told to its owner."""

    title: str
    job_id: str
    created_at: datetime
    finished_at: datetime
    base: BaseModelFacts
    dataset: DatasetFacts
    recipe: str
    hyperparameters: dict[str, Any]
    steps: int
    trained_tokens_total: int = Field(description="Trained tokens seen over all steps, repeats included.")
    seconds_by_phase: dict[str, float] = Field(description="In the order of the run.")
    device: str = Field(description="The machine in words.")
    peak_memory_bytes: int | None = None
    trainable_parameters: int
    training: tuple[TrainingPoint, ...]
    validation: tuple[ValidationPoint, ...]
    kept: Literal["last", "best"] = "last"
    kept_step: int
    comparison: Comparison
    template_sha256: str
    fingerprint: str
    packages: dict[str, str]
    resumed: int = Field(0, ge=0, description="How often the run was interrupted and went on.")
    notes: tuple[str, ...] = ()
    adapter_folder: str = Field(".", description="Where the adapter lies, seen from the model card.")
    tokenizer_folder: str = Field(".", description="Where the tokenizer and template lie, seen from the model card.")
    stop_token_ids: tuple[int, ...] = Field((), description="Tokens that end an answer; absent means the base's own.")
