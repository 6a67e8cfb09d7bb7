"""A training plan: steps, tokens, time and memory of a run, from sizes and shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from brightrun.catalogue.models import BaseModelEntry
from brightrun.chat.batches import SequenceSize, Step, plan_steps
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.planning.device import DeviceGuess
from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.memory import Kind, MemoryEstimate, estimate_memory, holding
from brightrun.planning.operations import Row, adapter_parameters, make_row
from brightrun.planning.phases import HeldOut, loss_duration, losses_along
from brightrun.planning.work import Work, all_of, training_work

NOTHING_HELD_OUT = HeldOut()


class TrainingPlan(BaseModel):
    """What a run will be.

    `training` is the time of the steps alone; `evaluation` that of all measurements of held-out loss, absent
    where the held-out sequences are not known. Loading the base and answering prompts come on top of both.
    `fits` is absent where the machine's memory is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sequences: int
    answers: int
    tokens_per_epoch: int
    learnt_tokens_per_epoch: int
    steps: int
    tokens_total: int
    padding_tokens: int
    longest_tokens: int
    largest_row_tokens: int
    answers_per_step: int
    trainable_parameters: int
    training: Duration
    evaluation: Duration | None
    memory: MemoryEstimate
    memory_available_bytes: int | None
    device: Literal["cpu", "cuda"]
    device_name: str
    fits: bool | None

    def memory_in_words(self) -> str:
        """What the run needs beside what is free."""
        needed = f"about {self.memory.total_bytes / 1e9:.1f} GB"
        if self.memory_available_bytes is None:
            return needed
        return f"{needed} of {self.memory_available_bytes / 1e9:.1f} GB free"


@dataclass(frozen=True, slots=True)
class RunShape:
    """A run on a kind of machine, before any speed is known: its steps, its work and its peak memory."""

    sizes: tuple[SequenceSize, ...]
    hyperparameters: Hyperparameters
    entry: BaseModelEntry
    kind: Kind
    steps: int
    tokens: int
    computed_tokens: int
    largest_row_tokens: int
    adapter: int
    work: Work
    memory: MemoryEstimate


def shape_run(
    sizes: Sequence[SequenceSize], hyperparameters: Hyperparameters, entry: BaseModelEntry, kind: Kind
) -> RunShape:
    """Lay out every step of the run. Raises as `plan_training`."""
    steps = plan_steps(
        sizes,
        batch_size=hyperparameters.batch_size,
        gradient_accumulation_steps=hyperparameters.gradient_accumulation_steps,
        num_epochs=hyperparameters.num_epochs,
        max_steps=hyperparameters.max_steps,
        seed=hyperparameters.seed,
    )
    rows = rows_of(steps, sizes, packing=hyperparameters.packing)
    adapter = adapter_parameters(entry, hyperparameters)
    held = holding(hyperparameters, kind)
    return RunShape(
        sizes=tuple(sizes),
        hyperparameters=hyperparameters,
        entry=entry,
        kind=kind,
        steps=len(steps),
        tokens=sum(row.tokens for row in rows),
        computed_tokens=sum(row.computed_tokens for row in rows),
        largest_row_tokens=max(row.computed_tokens for row in rows),
        adapter=adapter,
        work=all_of(training_work(row, entry, hyperparameters, adapter, held) for row in rows),
        memory=estimate_memory(entry, hyperparameters, adapter_parameters=adapter, rows=set(rows), kind=kind),
    )


def plan_training(
    sizes: Sequence[SequenceSize],
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    *,
    device: DeviceGuess,
    held_out: HeldOut = NOTHING_HELD_OUT,
) -> TrainingPlan:
    """The plan of a run.

    Args:
        sizes: Every training sequence, in the order the trainer has them.
        hyperparameters: Settled ones.
        entry: The base model.
        device: Where it will run.
        held_out: Sequences whose loss is measured before, along and after the run.

    Raises:
        RecipeError: settings out of range, or an adapter on a module the model has not.
        DatasetError: no sequence, or one without an answer.
    """
    return plan_shape(shape_run(sizes, hyperparameters, entry, device.kind), device, held_out)


def plan_shape(shape: RunShape, device: DeviceGuess, held_out: HeldOut = NOTHING_HELD_OUT) -> TrainingPlan:
    """The plan of a run that was laid out for this kind of device."""
    return TrainingPlan(
        sequences=len(shape.sizes),
        answers=sum(size.answers for size in shape.sizes),
        tokens_per_epoch=sum(size.tokens for size in shape.sizes),
        learnt_tokens_per_epoch=sum(size.learnt_tokens for size in shape.sizes),
        steps=shape.steps,
        tokens_total=shape.tokens,
        padding_tokens=shape.computed_tokens - shape.tokens,
        longest_tokens=max(size.tokens for size in shape.sizes),
        largest_row_tokens=shape.largest_row_tokens,
        answers_per_step=shape.hyperparameters.answers_per_step,
        trainable_parameters=shape.adapter,
        training=device.duration(shape.work),
        evaluation=_evaluation(shape, device, held_out),
        memory=shape.memory,
        memory_available_bytes=device.memory_bytes,
        fits=None if device.memory_bytes is None else shape.memory.total_bytes <= device.memory_bytes,
        device=device.kind,
        device_name=device.name,
    )


def rows_of(steps: Sequence[Step], sizes: Sequence[SequenceSize], *, packing: bool) -> list[Row]:
    """Every row of every step, as the trainer computes them."""
    return [make_row([sizes[index] for index in row], packing=packing) for step in steps for row in step.rows]


def _evaluation(shape: RunShape, device: DeviceGuess, held_out: HeldOut) -> Duration | None:
    """Once with the base, along the run, and once more with the delivered adapter."""
    if not held_out.sizes:
        return None
    held = holding(shape.hyperparameters, device.kind)
    before, tuned = (
        loss_duration(held_out, shape.hyperparameters, shape.entry, device, held, adapter=adapter)
        for adapter in (0, shape.adapter)
    )
    return in_sequence([before, tuned.scaled(losses_along(shape.steps, shape.hyperparameters) + 1)])
