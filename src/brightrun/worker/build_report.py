"""Gathers what a finished run has to tell, from its spec, its data's audit and its event log. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from brightrun.catalogue.folders import read_model_record
from brightrun.contract.events import EvaluationEvent, Event, MessageEvent, StepEvent, read_event_log
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.audit import AuditReport
from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.run_report import (
    BaseModelFacts,
    DatasetFacts,
    FindingLine,
    RunReport,
    TrainingPoint,
    ValidationPoint,
)
from brightrun.runs.examples import TokenizedExample
from brightrun.templating.chat_model import ChatModel


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """What only the run itself knows by now."""

    chat: ChatModel
    train: list[TokenizedExample]
    validation: list[TokenizedExample]
    comparison: Comparison
    trainable_parameters: int
    kept_step: int
    packages: dict[str, str]


def build_report(spec: JobSpec, folder: RunFolder, inputs: ReportInputs) -> RunReport:
    """The run as report and model card show it; a step told by two attempts counts once, as last told."""
    events = list(read_event_log(folder.event_log))
    steps = {event.step: event for event in events if isinstance(event, StepEvent) and event.step is not None}
    training = [steps[number] for number in sorted(steps)]
    return RunReport(
        title=f"{spec.model.name} on {spec.dataset.source_name}",
        job_id=spec.job_id,
        created_at=events[0].timestamp,
        finished_at=events[-1].timestamp,
        base=_base(spec),
        dataset=_dataset(spec, folder, inputs),
        recipe=spec.recipe,
        hyperparameters=spec.hyperparameters.model_dump(mode="json"),
        steps=len(training),
        trained_tokens_total=sum(event.data.trained_tokens or 0 for event in training),
        seconds_by_phase=_seconds_by_phase(events),
        device=_device(events),
        peak_memory_bytes=max((event.data.memory_bytes for event in training if event.data.memory_bytes), default=None),
        trainable_parameters=inputs.trainable_parameters,
        training=tuple(
            TrainingPoint(
                step=event.step or 0,
                loss=event.data.loss,
                learning_rate=event.data.learning_rate,
                grad_norm=event.data.grad_norm,
            )
            for event in training
        ),
        validation=_validation_points(events, inputs),
        kept=spec.hyperparameters.adapter_choice,
        kept_step=inputs.kept_step,
        comparison=inputs.comparison,
        template_sha256=inputs.chat.template_sha256,
        fingerprint=spec.fingerprint(),
        packages=inputs.packages,
        resumed=events[-1].attempt - 1,
        stop_token_ids=tuple(sorted(inputs.chat.stop_ids)),
    )


def _base(spec: JobSpec) -> BaseModelFacts:
    from pathlib import Path

    license = read_model_record(Path(spec.model.path)).license
    return BaseModelFacts(name=spec.model.name, hub_id=spec.model.hub_id, revision=spec.model.revision, license=license)


def _dataset(spec: JobSpec, folder: RunFolder, inputs: ReportInputs) -> DatasetFacts:
    audit = AuditReport.model_validate_json((folder.data / "audit.json").read_bytes())
    return DatasetFacts(
        name=spec.dataset.source_name,
        sha256=spec.dataset.source_sha256,
        split_sha256=spec.dataset.split_sha256,
        conversations=audit.conversations,
        validation_file=audit.validation_file,
        train_conversations=len({sequence.conversation_id for sequence in inputs.train}),
        train_answers=sum(sequence.size.answers for sequence in inputs.train),
        validation_conversations=len({sequence.conversation_id for sequence in inputs.validation}),
        validation_answers=sum(sequence.size.answers for sequence in inputs.validation),
        tokens=sum(sequence.size.tokens for sequence in inputs.train),
        trained_tokens=sum(sequence.size.trained_tokens for sequence in inputs.train),
        repaired=audit.repaired,
        excluded=audit.excluded,
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


def _validation_points(events: Iterable[Event], inputs: ReportInputs) -> tuple[ValidationPoint, ...]:
    points = {0: inputs.comparison.overall.base_loss}
    for event in events:
        if isinstance(event, EvaluationEvent) and event.step is not None and event.data.loss is not None:
            points[event.step] = event.data.loss
    points[inputs.kept_step] = inputs.comparison.overall.tuned_loss
    return tuple(ValidationPoint(step=step, loss=points[step]) for step in sorted(points))


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


def _device(events: list[Event]) -> str:
    told = (event.data.device for event in reversed(events) if isinstance(event, MessageEvent))
    return next((device for device in told if device is not None), "unknown")
