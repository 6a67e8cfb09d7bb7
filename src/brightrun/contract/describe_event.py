"""An event in words: the same on the terminal, on a job's page and in its log."""

from __future__ import annotations

from typing import Any, Literal

from brightrun.contract.event_data import (
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
from brightrun.contract.job_event import JobEvent
from brightrun.contract.states import EndReason, JobStatus
from brightrun.format import bytes_text, counted, duration_text, loss_text, number_text

Tone = Literal["", "bad", "good", "warn"]
_OF_WHICH = {"baseline": " of the untouched base", "during": " so far", "final": " of the tuned model"}
_ASKED: dict[str | None, str] = {
    None: "validation prompt", "general": "general question",
    "prompted": "validation prompt behind real conversations", "training": "prompt of a training answer",
}  # fmt: skip
_DELIVERED = "The worker has delivered; the studio fetches, compares and stores it."


def describe(event: JobEvent) -> str:
    """What happened, in a sentence or less; what only a newer version knows stands behind it as it was told."""
    return _with_unknown(_sentence(event), event.data)


def tone_of(event: JobEvent) -> Tone:
    """Whether it is good news, bad news, or something to look at."""
    data = event.data
    has_code = isinstance(data, MessageData | EndData) and data.code is not None
    if has_code or event.reason is EndReason.CANCELLED_BY_USER:
        return "warn"
    if event.kind not in {"status", "end"} or _is_delivery(event):
        return ""
    tones: dict[JobStatus, Tone] = {JobStatus.FAILED: "bad", JobStatus.COMPLETED: "good"}
    return tones.get(event.status, "warn" if event.reason is not None else "")


def step_figures(data: StepData, *, brief: bool = False) -> list[str]:
    """`loss 1.234`, `812 tokens/s`, `2 min 05 s left`: what is known of a step; `brief` is for one line's width."""
    figures = [f"loss {_loss(data.loss)}"]
    if not brief and data.learning_rate is not None:
        figures.append(f"learning rate {number_text(data.learning_rate)}")
    if not brief and data.grad_norm is not None:
        figures.append(f"gradient norm {number_text(data.grad_norm)}")
    if data.tokens_per_second is not None:
        figures.append(f"{data.tokens_per_second:,.0f} tokens/s")
    if data.seconds_left is not None:
        figures.append(f"{duration_text(data.seconds_left)} left")
    return figures


def _sentence(event: JobEvent) -> str:  # noqa: PLR0911 one line for each kind
    match event.data:
        case StepData() as data:
            return ", ".join([_step_number(event), *step_figures(data)])
        case EvaluationData() as data:
            answers = "" if data.answers is None else f" on {counted(data.answers, 'answer')}"
            return f"Validation loss{_OF_WHICH.get(data.phase or '', '')}: {_loss(data.loss)}{answers}"
        case CheckpointData():
            return "Checkpoint" if event.step is None else f"Checkpoint at step {event.step:,}"
        case SampleData() as data:
            return f"Answered {_ASKED[data.of]} {_number(data.done)} of {_number(data.total)}"
        case ArtifactData() as data:
            size = "" if data.bytes is None else f" ({bytes_text(data.bytes)})"
            return f"Wrote {data.name or 'a file'}{size}"
        case EndData() if _is_delivery(event):
            return _DELIVERED  # what came of it is told when it is stored
        case StatusData() | EndData():
            return event.message or event.status.words
        case _:
            return event.message or _words(event.kind)


def _is_delivery(event: JobEvent) -> bool:
    return event.kind == "end" and event.status is JobStatus.COMPLETED


def _step_number(event: JobEvent) -> str:
    total = "" if event.total_steps is None else f" of {event.total_steps:,}"
    return "A step" if event.step is None else f"Step {event.step:,}{total}"


def _with_unknown(sentence: str, data: EventData) -> str:
    told = [f"{_words(name).lower()} {_value(value)}" for name, value in data.unknown_fields.items()]
    return ", ".join([sentence.removesuffix(".") if told else sentence, *told])


def _value(value: Any) -> str:
    if isinstance(value, float):
        return number_text(value)
    return str(value) if isinstance(value, str | int) else "(not shown)"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _loss(value: float | None) -> str:
    return "not known" if value is None else loss_text(value)
