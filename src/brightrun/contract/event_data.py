"""What an event carries, by its kind. Fields of a newer version are kept beside those that this one knows."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from brightrun.contract.step_metrics import Number, StepMetrics

EventKind = Literal["status", "message", "step", "evaluation", "checkpoint", "sample", "artifact", "end"]
Phase = Literal["baseline", "during", "final"]
AskedFor = Literal["general", "prompted", "training"]
"""What is answered beside validation prompts: general questions, the same prompts behind real conversations, or the
prompts of training answers."""


class EventData(BaseModel):
    """What is known of an event; what is not known is absent from JSON. Of a kind that this version does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: ClassVar[EventKind | None] = None

    def known(self) -> dict[str, Any]:
        """Everything known as JSON values, with what only a newer version knows."""
        return self.model_dump(mode="json")

    @property
    def unknown_fields(self) -> dict[str, Any]:
        """What another version told and this one has no field for."""
        return dict(self.model_extra or {})

    @model_serializer(mode="wrap")
    def _without_unknown(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class StatusData(EventData):
    """The run or the job is in another state."""

    kind: ClassVar[EventKind] = "status"


class MessageData(EventData):
    """Something that its message says; `code` says it to programs.

    `of`, `month`, `percent`, `spent_usd` and `limit_usd` belong to warnings of a budget, the other facts to the line
    that opens a run: what was counted, and on which machine and with which packages it runs.
    """

    kind: ClassVar[EventKind] = "message"
    code: str | None = None
    hint: str | None = None
    resumed_step: int | None = None
    of: Literal["job", "month"] | None = None
    month: str | None = None
    percent: int | None = None
    spent_usd: float | None = None
    limit_usd: float | None = None
    train_examples: int | None = None
    steps: int | None = None
    fingerprint: str | None = None
    device: str | None = None
    memory_bytes: int | None = None
    memory_available_bytes: int | None = None
    python: str | None = None
    packages: dict[str, str] | None = None
    quantization: str | None = None


class StepData(StepMetrics, EventData):
    """A step of the optimizer: its metrics, its tokens (all, and those trained on), and the time to the last step."""

    kind: ClassVar[EventKind] = "step"
    tokens: int | None = None
    trained_tokens: int | None = None
    seconds_left: Number = None


class EvaluationData(EventData):
    """The mean loss of the validation answers, in nats per trained token; `seconds` is how long it took."""

    kind: ClassVar[EventKind] = "evaluation"
    loss: Number = None
    phase: Phase | None = None
    answers: int | None = None
    trained_tokens: int | None = None
    seconds: Number = None


class CheckpointData(EventData):
    """A sealed checkpoint, by its path in the run's folder."""

    kind: ClassVar[EventKind] = "checkpoint"
    path: str | None = None
    bytes: int | None = None


class SampleData(EventData):
    """How many of the validation prompts are answered, or of something else that `of` names."""

    kind: ClassVar[EventKind] = "sample"
    done: int | None = None
    total: int | None = None
    phase: Phase | None = None
    of: AskedFor | None = None


class ArtifactData(EventData):
    """A file of the bundle, whole and hashed."""

    kind: ClassVar[EventKind] = "artifact"
    name: str | None = None
    bytes: int | None = None
    sha256: str | None = None


class EndData(EventData):
    """How an attempt ended; `kept_step` is the step of the adapter that was kept, absent where none was."""

    kind: ClassVar[EventKind] = "end"
    hint: str | None = None
    code: str | None = None
    details: dict[str, Any] | None = None
    trace: str | None = None
    kept_step: int | None = None
    validation_loss: Number = None


DATA_OF_KIND: dict[str, type[EventData]] = {
    data.kind: data
    for data in (
        StatusData, MessageData, StepData, EvaluationData, CheckpointData, SampleData, ArtifactData, EndData,
    )
}  # fmt: skip


def read_data(kind: str, values: dict[str, Any]) -> EventData:
    """The data of an event of that kind; plain `EventData` where this version does not know the kind or the values."""
    try:
        return DATA_OF_KIND.get(kind, EventData).model_validate(values)
    except ValidationError:
        return EventData.model_validate(values)
