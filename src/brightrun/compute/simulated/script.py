"""A simulated training run: its whole event log written down when it starts, told as the clock goes on.

Shaped like a real run's event log; its losses are arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from brightrun.compute.simulated.faults import FaultPlan
from brightrun.contract.event_data import (
    ArtifactData,
    CheckpointData,
    EndData,
    EvaluationData,
    EventData,
    MessageData,
    Phase,
    StatusData,
    StepData,
)
from brightrun.contract.events import EndEvent, Event, event_of
from brightrun.contract.messages import ArtifactFile, StartRequest
from brightrun.contract.states import EndReason, JobStatus


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a simulated machine takes for what, in seconds, and how long its runs are."""

    boot: float = 30.0
    load: float = 20.0
    step: float = 10.0
    evaluate: float = 20.0
    upload: float = 10.0
    steps: int = 12
    checkpoint_every: int = 4


@dataclass(frozen=True, slots=True)
class Cue:
    """A line of the event log before it has its number: when it is written and what it says."""

    after: float
    data: EventData
    status: JobStatus
    step: int | None = None
    message: str | None = None
    reason: EndReason | None = None


def step_seconds(pace: Pace, step: int, *, resumed: int) -> float:
    """When a run that resumed after step `resumed` reaches `step`, in seconds from its start."""
    return pace.load + (step - resumed) * pace.step


def script_run(
    request: StartRequest,
    *,
    started: datetime,
    resumed: int,
    pace: Pace,
    faults: FaultPlan,
    limit: SimulatedLimit | None,
    artifacts: Sequence[ArtifactFile] = (),
) -> tuple[Event, ...]:
    """Every event of the run in order, numbered from 1, stamped with the moment it will be written."""
    lines = list(_until_failure(_lines(pace, resumed, artifacts), faults, pace, resumed))
    if limit is not None:
        lines = _until_limit(lines, (limit.at - started).total_seconds(), limit.reason)
    return tuple(
        event_of(
            line.data,
            sequence=number,
            attempt=request.attempt,
            timestamp=started + timedelta(seconds=line.after),
            status=line.status,
            step=line.step,
            total_steps=pace.steps,
            message=line.message,
            reason=line.reason,
        )
        for number, line in enumerate(lines, start=1)
    )


@dataclass(frozen=True, slots=True)
class SimulatedLimit:
    """The moment at which the worker ends its run by itself, and why."""

    at: datetime
    reason: EndReason


def interrupted(event: Event, *, at: datetime) -> Event:
    """The line that a run which is asked to stop writes after `event`."""
    return _ended(event, at=at, reason=EndReason.INTERRUPTED, kept_step=None)


def stopped_gracefully(script: Sequence[Event], *, now: datetime, reason: EndReason) -> tuple[Event, ...]:
    """The story of a run that is asked to end its step, write a checkpoint and make an adapter of it."""
    told = [event for event in script if event.timestamp <= now]
    step = next((event for event in script if event.kind == "step" and event.timestamp > now), None)
    if step is None or script[-1].kind != "end":  # no step is under way: the last checkpoint is what there is
        last, kept = told[-1], max((event.step or 0 for event in told if event.kind == "checkpoint"), default=0)
        return (*told, _ended(last, at=now, reason=reason, kept_step=kept or None))
    told = [event for event in script if event.sequence <= step.sequence]
    return (*told, _ended(step, at=step.timestamp, reason=reason, kept_step=step.step))


def _ended(last: Event, *, at: datetime, reason: EndReason, kept_step: int | None) -> EndEvent:
    return EndEvent(
        sequence=last.sequence + 1,
        attempt=last.attempt,
        timestamp=at,
        status=JobStatus.FAILED,
        step=last.step,
        total_steps=last.total_steps,
        reason=reason,
        message=reason.text.words,
        data=EndData(kept_step=kept_step),
    )


def training_loss(step: int, pace: Pace) -> float:
    """Nats per trained token; falls from 3 towards 1, the same in every attempt."""
    return 1.0 + 2.0 * math.exp(-3.0 * step / pace.steps)


def _lines(pace: Pace, resumed: int, artifacts: Sequence[ArtifactFile]) -> Iterator[Cue]:
    yield Cue(0.0, StatusData(), JobStatus.PREPROCESSING, message="Checking the data, the base model and this machine.")
    yield Cue(pace.load / 2, StatusData(), JobStatus.MODEL_LOADED, message="Testing the original model first.")
    yield _evaluation(pace.load * 0.75, JobStatus.MODEL_LOADED, 0, pace, "baseline")
    yield Cue(pace.load, StatusData(), JobStatus.TRAINING, message=f"Training {pace.steps} steps.")
    if resumed:
        data = MessageData(resumed_step=resumed)
        yield Cue(pace.load, data, JobStatus.TRAINING, message=f"Going on after step {resumed}.")
    for step in range(resumed + 1, pace.steps + 1):
        yield from _step(pace, step, resumed)
    yield from _ending(pace, step_seconds(pace, pace.steps, resumed=resumed), artifacts)


def _step(pace: Pace, step: int, resumed: int) -> Iterator[Cue]:
    after = step_seconds(pace, step, resumed=resumed)
    figures = StepData(
        loss=training_loss(step, pace),
        learning_rate=2e-4 * (1.0 - (step - 1) / pace.steps),
        grad_norm=0.25,
        tokens=1000,
        tokens_per_second=1000.0 / max(pace.step, 0.001),
        memory_bytes=2_100_000_000,
        epoch=3.0 * step / pace.steps,
        seconds_left=(pace.steps - step) * pace.step,
    )
    yield Cue(after, figures, JobStatus.TRAINING, step=step)
    if step % pace.checkpoint_every == 0 or step == pace.steps:
        checkpoint = CheckpointData(path=f"work/checkpoints/step-{step:06d}", bytes=4096)
        yield Cue(after, checkpoint, JobStatus.TRAINING, step=step)
        yield _evaluation(after, JobStatus.TRAINING, step, pace, "during")


def _evaluation(after: float, status: JobStatus, step: int, pace: Pace, phase: Phase) -> Cue:
    figures = EvaluationData(loss=training_loss(step, pace) + 0.05, answers=12, trained_tokens=1200, phase=phase)
    return Cue(after, figures, status, step=step)


def _ending(pace: Pace, after: float, artifacts: Sequence[ArtifactFile]) -> Iterator[Cue]:
    yield Cue(after, StatusData(), JobStatus.EVALUATING, message="Testing the trained model.")
    judged = after + pace.evaluate
    yield _evaluation(judged, JobStatus.EVALUATING, pace.steps, pace, "final")
    yield Cue(judged, StatusData(), JobStatus.UPLOADING, message="Writing the bundle and the report.")
    for file in artifacts:
        yield Cue(judged + pace.upload, ArtifactData(**file.model_dump()), JobStatus.UPLOADING)
    loss = training_loss(pace.steps, pace) + 0.05
    said = "A simulated run: nothing was trained."
    yield Cue(judged + pace.upload, EndData(validation_loss=loss), JobStatus.COMPLETED, message=said)


def _until_failure(lines: Iterator[Cue], faults: FaultPlan, pace: Pace, resumed: int) -> Iterator[Cue]:
    """The story up to the step at which the training process fails, if it comes to it."""
    failing = faults.fails_at_step
    if failing is None or not resumed < failing <= pace.steps:
        yield from lines
        return
    moment = step_seconds(pace, failing, resumed=resumed)
    yield from _until(list(lines), moment, faults.fails_with)


def _until(lines: list[Cue], moment: float, reason: EndReason) -> list[Cue]:
    """The lines before a moment and, where the story went on after it, an end for `reason`."""
    kept = [line for line in lines if line.after < moment]
    if len(kept) == len(lines):
        return lines
    return [*kept, Cue(max(moment, 0.0), EndData(), JobStatus.FAILED, message=reason.text.words, reason=reason)]


def _until_limit(lines: list[Cue], moment: float, reason: EndReason) -> list[Cue]:
    """As a worker keeps its limit: no step is begun that would end after it, and the last one's adapter is kept.

    While it trains the story ends with its last affordable step; elsewhere at the limit, with the last checkpoint.
    """
    kept = _until(lines, moment, reason)
    if kept is lines:
        return lines
    *told, end = kept
    trains = bool(told) and told[-1].status is JobStatus.TRAINING
    kinds = {"step"} if trains else {"checkpoint"}
    step = max((line.step or 0 for line in told if line.data.kind in kinds), default=0)
    after = (
        next((line.after for line in reversed(told) if line.data.kind == "step"), end.after) if trains else end.after
    )
    return [*told, replace(end, after=after, data=EndData(kept_step=step or None))]
