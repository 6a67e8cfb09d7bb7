"""A training plan: steps, tokens, time and memory of a run, from sizes and shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from brightrun.catalogue.models import BaseModelEntry
from brightrun.chat.batches import SequenceSize, Step, plan_steps
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.planning.device import DeviceGuess
from brightrun.planning.durations import Duration
from brightrun.planning.memory import MemoryEstimate, estimate_memory, holding
from brightrun.planning.operations import (
    Row,
    adapter_parameters,
    forward_operations,
    make_row,
    row_operations,
)


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


def plan_training(
    sizes: Sequence[SequenceSize],
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    *,
    device: DeviceGuess,
    held_out: Sequence[SequenceSize] = (),
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
    steps = _steps(sizes, hyperparameters)
    rows = _rows(steps, sizes, packing=hyperparameters.packing)
    adapter = adapter_parameters(entry, hyperparameters)
    recompute = holding(hyperparameters, device.kind).recompute
    largest = max(row.computed_tokens for row in rows)
    operations = sum(
        row_operations(row, entry, adapter, recompute=recompute, every_position_scored=device.kind == "cpu")
        for row in rows
    )
    real_tokens = sum(row.tokens for row in rows)
    memory = estimate_memory(
        entry,
        hyperparameters,
        adapter_parameters=adapter,
        rows=set(rows),
        kind=device.kind,
    )
    return TrainingPlan(
        sequences=len(sizes),
        answers=sum(size.answers for size in sizes),
        tokens_per_epoch=sum(size.tokens for size in sizes),
        learnt_tokens_per_epoch=sum(size.learnt_tokens for size in sizes),
        steps=len(steps),
        tokens_total=real_tokens,
        padding_tokens=sum(row.computed_tokens for row in rows) - real_tokens,
        longest_tokens=max(size.tokens for size in sizes),
        largest_row_tokens=largest,
        answers_per_step=hyperparameters.answers_per_step,
        trainable_parameters=adapter,
        training=_duration(operations, device),
        evaluation=_evaluation(held_out, hyperparameters, entry, adapter, device),
        memory=memory,
        memory_available_bytes=device.memory_bytes,
        fits=None if device.memory_bytes is None else memory.total_bytes <= device.memory_bytes,
        device=device.kind,
        device_name=device.name,
    )


def _steps(sizes: Sequence[SequenceSize], hyperparameters: Hyperparameters) -> list[Step]:
    return plan_steps(
        sizes,
        batch_size=hyperparameters.batch_size,
        gradient_accumulation_steps=hyperparameters.gradient_accumulation_steps,
        num_epochs=hyperparameters.num_epochs,
        max_steps=hyperparameters.max_steps,
        seed=hyperparameters.seed,
    )


def _rows(steps: Sequence[Step], sizes: Sequence[SequenceSize], *, packing: bool) -> list[Row]:
    return [make_row([sizes[index] for index in row], packing=packing) for step in steps for row in step.rows]


def _evaluation(
    held_out: Sequence[SequenceSize],
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    adapter: int,
    device: DeviceGuess,
) -> Duration | None:
    """Once with the base, at every evaluation, and once more with the delivered adapter."""
    if not held_out:
        return None
    once = sum(forward_operations(make_row([size], packing=True), entry, adapter) for size in held_out)
    return _duration(once * (hyperparameters.evaluations + 2), device)


def _duration(operations: float, device: DeviceGuess) -> Duration:
    expected = operations / device.flops_per_second
    return Duration(
        expected_seconds=expected,
        low_seconds=expected * device.low_factor,
        high_seconds=expected * device.high_factor,
        obtained=device.obtained,
    )
