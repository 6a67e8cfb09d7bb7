"""The event log's lines: one event each, numbered, append-only. The studio and the terminal both read these."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from brightrun.contract.event_data import (
    DATA_OF_KIND,
    ArtifactData,
    CheckpointData,
    EndData,
    EvaluationData,
    EventData,
    MessageData,
    SampleData,
    StatusData,
    StepData,
)
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import ContractError

_OTHER = "other"


class EventLine(BaseModel):
    """What every line of an event log has. Fields that this version does not know are kept in `data`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sequence: int = Field(ge=1, description="Number of the line, from 1, without gaps.")
    attempt: int = Field(ge=1, description="Which process of this run wrote it.")
    timestamp: datetime
    status: JobStatus
    step: int | None = None
    total_steps: int | None = None
    message: str | None = None
    reason: EndReason | None = None

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_fields(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        unknown = {name: value for name, value in values.items() if name not in cls.model_fields}
        data = values.get("data") or {}
        if not unknown or not isinstance(data, dict):
            return values
        return {name: values[name] for name in values if name not in unknown} | {"data": unknown | data}


class StatusEvent(EventLine):
    """The run is in another state, `status`."""

    kind: Literal["status"] = "status"
    data: StatusData = StatusData()


class MessageEvent(EventLine):
    """Something worth a sentence."""

    kind: Literal["message"] = "message"
    data: MessageData = MessageData()


class StepEvent(EventLine):
    """A step of the optimizer was made."""

    kind: Literal["step"] = "step"
    data: StepData = StepData()


class EvaluationEvent(EventLine):
    """The validation loss was measured."""

    kind: Literal["evaluation"] = "evaluation"
    data: EvaluationData = EvaluationData()


class CheckpointEvent(EventLine):
    """A checkpoint is whole on the disk."""

    kind: Literal["checkpoint"] = "checkpoint"
    data: CheckpointData = CheckpointData()


class SampleEvent(EventLine):
    """A validation prompt was answered."""

    kind: Literal["sample"] = "sample"
    data: SampleData = SampleData()


class ArtifactEvent(EventLine):
    """A file of the bundle is whole."""

    kind: Literal["artifact"] = "artifact"
    data: ArtifactData = ArtifactData()


class EndEvent(EventLine):
    """The attempt's last line."""

    kind: Literal["end"] = "end"
    data: EndData = EndData()


class OtherEvent(EventLine):
    """An event of a kind, or with values, that this version does not know: kept and shown, acted on by nobody."""

    kind: Annotated[str, Field(json_schema_extra={"not": {"enum": list(DATA_OF_KIND)}})]
    data: EventData = EventData()


def _tag(value: Any) -> str:
    if isinstance(value, OtherEvent):
        return _OTHER
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) and kind in DATA_OF_KIND else _OTHER


def _or_other(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Data that are not what their kind promises make an OtherEvent; faults of the line itself stay faults."""
    try:
        return validate(value)
    except ValidationError:
        return OtherEvent.model_validate(value)


Event = Annotated[
    Annotated[StatusEvent, Tag("status")]
    | Annotated[MessageEvent, Tag("message")]
    | Annotated[StepEvent, Tag("step")]
    | Annotated[EvaluationEvent, Tag("evaluation")]
    | Annotated[CheckpointEvent, Tag("checkpoint")]
    | Annotated[SampleEvent, Tag("sample")]
    | Annotated[ArtifactEvent, Tag("artifact")]
    | Annotated[EndEvent, Tag("end")]
    | Annotated[OtherEvent, Tag(_OTHER)],
    Discriminator(_tag),
    WrapValidator(_or_other),
]
"""A line of an event log, told apart by its kind."""

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str | bytes) -> Event:
    """One line of an event log.

    Raises:
        ValidationError: it is not an event.
    """
    return _EVENT.validate_json(line)


def event_of(data: EventData, **line: Any) -> Event:
    """The event that carries these data; `line` are the fields of an EventLine, and `kind` where data have none."""
    return _EVENT.validate_python({"kind": data.kind, "data": data} | line)


def read_event_log(path: Path, *, after: int = 0) -> Iterator[Event]:
    """The event log's events numbered above `after`; a half-written last line is left for later.

    Raises:
        ContractError: a line that is whole but not an event.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            if number <= after:
                continue
            try:
                yield parse_event(line)
            except ValidationError as error:
                raise ContractError(f"{path.name} line {number} is not an event.") from error
