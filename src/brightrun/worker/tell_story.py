"""Gathers what a finished run has to tell, from its spec, its data's audit and its journal. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from brightrun.catalogue.folders import read_model_record
from brightrun.chat.chat_model import ChatModel
from brightrun.contract.events import Event, read_journal
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.audit import AuditReport
from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.story import (
    BaseStory,
    DatasetStory,
    FindingLine,
    HeldOutPoint,
    RunStory,
    TrainingPoint,
)
from brightrun.worker.sequences import Sequence


@dataclass(frozen=True, slots=True)
class Told:
    """What only the run itself knows by now."""

    chat: ChatModel
    train: list[Sequence]
    held_out: list[Sequence]
    comparison: Comparison
    trainable_parameters: int
    kept_step: int
    packages: dict[str, str]


def tell_story(spec: JobSpec, folder: RunFolder, told: Told) -> RunStory:
    """The run as report and model card show it; a step told by two attempts counts once, as last told."""
    events = list(read_journal(folder.journal))
    steps = {event.step: event for event in events if event.kind == "step" and event.step is not None}
    training = [steps[number] for number in sorted(steps)]
    return RunStory(
        title=f"{spec.model.name} on {spec.dataset.source_name}",
        job_id=spec.job_id,
        created_at=events[0].timestamp,
        finished_at=events[-1].timestamp,
        base=_base(spec),
        dataset=_dataset(spec, folder, told),
        recipe=spec.recipe,
        hyperparameters=spec.hyperparameters.model_dump(mode="json"),
        steps=len(training),
        learnt_tokens_trained=sum(int(event.data["learnt_tokens"]) for event in training),
        seconds_by_phase=_seconds_by_phase(events),
        device=_latest(events, "device", "unknown"),
        peak_memory_bytes=max((int(event.data["memory_bytes"]) for event in training), default=None),
        trainable_parameters=told.trainable_parameters,
        training=tuple(
            TrainingPoint(
                step=event.step or 0,
                loss=event.data.get("loss"),
                learning_rate=event.data.get("learning_rate"),
                grad_norm=event.data.get("grad_norm"),
            )
            for event in training
        ),
        held_out=_held_out_points(events, told),
        kept=spec.hyperparameters.keep,
        kept_step=told.kept_step,
        comparison=told.comparison,
        template_sha256=told.chat.template_sha256,
        fingerprint=spec.fingerprint(),
        packages=told.packages,
        resumed=events[-1].attempt - 1,
        stop_token_ids=tuple(sorted(told.chat.stop_ids)),
    )


def _base(spec: JobSpec) -> BaseStory:
    from pathlib import Path

    licence = read_model_record(Path(spec.model.path)).licence
    return BaseStory(name=spec.model.name, hub_id=spec.model.hub_id, revision=spec.model.revision, licence=licence)


def _dataset(spec: JobSpec, folder: RunFolder, told: Told) -> DatasetStory:
    audit = AuditReport.model_validate_json((folder.data / "audit.json").read_bytes())
    return DatasetStory(
        name=spec.dataset.source_name,
        sha256=spec.dataset.source_sha256,
        split_sha256=spec.dataset.split_sha256,
        conversations=audit.conversations,
        train_conversations=len({sequence.conversation_id for sequence in told.train}),
        train_answers=sum(sequence.size.answers for sequence in told.train),
        held_out_conversations=len({sequence.conversation_id for sequence in told.held_out}),
        held_out_answers=sum(sequence.size.answers for sequence in told.held_out),
        tokens=sum(sequence.size.tokens for sequence in told.train),
        learnt_tokens=sum(sequence.size.learnt_tokens for sequence in told.train),
        repaired=audit.repaired,
        quarantined=audit.quarantined,
        findings=tuple(
            FindingLine(
                severity=finding.severity,
                check=finding.check,
                count=finding.count,
                explanation=finding.explanation,
            )
            for finding in audit.findings
        ),
    )


def _held_out_points(events: Iterable[Event], told: Told) -> tuple[HeldOutPoint, ...]:
    points = {0: told.comparison.overall.base_loss}
    for event in events:
        if event.kind == "evaluation" and event.step is not None:
            points[event.step] = float(event.data["loss"])
    points[told.kept_step] = told.comparison.overall.tuned_loss
    return tuple(HeldOutPoint(step=step, loss=points[step]) for step in sorted(points))


def _seconds_by_phase(events: list[Event]) -> dict[str, float]:
    """Wall time in each state, summed over attempts; the pause between two attempts belongs to none."""
    seconds: dict[str, float] = {}
    previous: Event | None = None
    for event in events:
        if previous is not None and previous.attempt == event.attempt:
            spent = _between(previous.timestamp, event.timestamp)
            seconds[previous.status.value] = seconds.get(previous.status.value, 0.0) + spent
        previous = event
    return seconds


def _between(start: datetime, end: datetime) -> float:
    return max((end - start).total_seconds(), 0.0)


def _latest(events: list[Event], key: str, unknown: str) -> str:
    return next((str(event.data[key]) for event in reversed(events) if key in event.data), unknown)
