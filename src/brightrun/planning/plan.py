"""A training plan: steps, tokens, time and memory of a run, from sizes and shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import DeviceKind, Hyperparameters
from brightrun.planning.device import DeviceGuess
from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.phases import ValidationSet, loss_duration
from brightrun.planning.work import Work, all_of, training_work
from brightrun.runs.flops import micro_batches_of
from brightrun.runs.memory import MemoryEstimate, estimate_memory
from brightrun.runs.steps import evaluation_steps, run_steps
from brightrun.templating.batches import ExampleSize

NO_VALIDATION = ValidationSet()


class TrainingPlan(BaseModel):
    """What a run will be.

    `training` is the time of the steps alone; `evaluation` that of all measurements of validation loss, absent
    where the validation sequences are not known. Loading the base and answering prompts come on top of both.
    `fits` is absent where the machine's memory is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    examples: int
    answers: int
    tokens_per_epoch: int
    trained_tokens_per_epoch: int
    steps: int
    tokens_total: int
    padding_tokens: int
    longest_tokens: int
    largest_micro_batch_tokens: int
    answers_per_step: int
    trainable_parameters: int
    training: Duration
    evaluation: Duration | None
    memory: MemoryEstimate
    memory_available_bytes: int | None
    device: Literal["cpu", "cuda"]
    device_name: str
    fits: bool | None

    def memory_text(self) -> str:
        """What the run needs beside what is free."""
        needed = f"about {self.memory.total_bytes / 1e9:.1f} GB"
        if self.memory_available_bytes is None:
            return needed
        return f"{needed} of {self.memory_available_bytes / 1e9:.1f} GB free"


@dataclass(frozen=True, slots=True)
class RunShape:
    """A run on a kind of machine, before any speed is known: its steps, its work and its peak memory."""

    sizes: tuple[ExampleSize, ...]
    hyperparameters: Hyperparameters
    entry: BaseModelEntry
    kind: DeviceKind
    steps: int
    tokens: int
    computed_tokens: int
    largest_micro_batch_tokens: int
    adapter: int
    work: Work
    memory: MemoryEstimate


def shape_run(
    sizes: Sequence[ExampleSize], hyperparameters: Hyperparameters, entry: BaseModelEntry, kind: DeviceKind
) -> RunShape:
    """Lay out every step of the run. Raises as `plan_training`."""
    steps = run_steps(sizes, hyperparameters)
    micro_batches = micro_batches_of(steps, sizes, packing=hyperparameters.packing)
    adapter = entry.adapter_parameters(hyperparameters.r, hyperparameters.target_modules)
    held = hyperparameters.resolve(kind)
    return RunShape(
        sizes=tuple(sizes),
        hyperparameters=hyperparameters,
        entry=entry,
        kind=kind,
        steps=len(steps),
        tokens=sum(micro_batch.tokens for micro_batch in micro_batches),
        computed_tokens=sum(micro_batch.computed_tokens for micro_batch in micro_batches),
        largest_micro_batch_tokens=max(micro_batch.computed_tokens for micro_batch in micro_batches),
        adapter=adapter,
        work=all_of(training_work(micro_batch, entry, hyperparameters, adapter, held) for micro_batch in micro_batches),
        memory=estimate_memory(
            entry, hyperparameters, adapter_parameters=adapter, micro_batches=set(micro_batches), kind=kind
        ),
    )


def plan_shape(shape: RunShape, device: DeviceGuess, validation: ValidationSet = NO_VALIDATION) -> TrainingPlan:
    """The plan of a run that was laid out for this kind of device."""
    return TrainingPlan(
        examples=len(shape.sizes),
        answers=sum(size.answers for size in shape.sizes),
        tokens_per_epoch=sum(size.tokens for size in shape.sizes),
        trained_tokens_per_epoch=sum(size.trained_tokens for size in shape.sizes),
        steps=shape.steps,
        tokens_total=shape.tokens,
        padding_tokens=shape.computed_tokens - shape.tokens,
        longest_tokens=max(size.tokens for size in shape.sizes),
        largest_micro_batch_tokens=shape.largest_micro_batch_tokens,
        answers_per_step=shape.hyperparameters.answers_per_step,
        trainable_parameters=shape.adapter,
        training=device.duration(shape.work),
        evaluation=_evaluation(shape, device, validation),
        memory=shape.memory,
        memory_available_bytes=device.memory_bytes,
        fits=None if device.memory_bytes is None else shape.memory.total_bytes <= device.memory_bytes,
        device=device.kind,
        device_name=device.name,
    )


def _evaluation(shape: RunShape, device: DeviceGuess, validation: ValidationSet) -> Duration | None:
    """Once with the base, along the run, and once more with the delivered adapter."""
    if not validation.sizes:
        return None
    held = shape.hyperparameters.resolve(device.kind)
    before, tuned = (
        loss_duration(validation, shape.hyperparameters, shape.entry, device, held, adapter=adapter)
        for adapter in (0, shape.adapter)
    )
    along = len(evaluation_steps(shape.steps, shape.hyperparameters))
    return in_sequence([before, tuned.scaled(along + 1)])
