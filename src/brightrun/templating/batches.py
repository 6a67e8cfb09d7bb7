"""Which sequences go into which step: pure arithmetic.

The planner and the worker share it, so that they cannot differ. It knows sizes only, no tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, isfinite

from brightrun.errors import DatasetError, RecipeError


@dataclass(frozen=True, slots=True)
class ExampleSize:
    """What a sequence weighs: all its tokens, those with loss, and its trained answers."""

    tokens: int
    trained_tokens: int
    answers: int


@dataclass(frozen=True, slots=True)
class Step:
    """One update of the weights.

    `rows` are forward passes of indices into the sequences, to be packed without padding; `epoch` is the
    number of passes over the data done after this step, for example 1.0 at the end of the first.
    """

    epoch: float
    micro_batches: tuple[tuple[int, ...], ...]


def plan_steps(
    sizes: Sequence[ExampleSize],
    *,
    batch_size: int,
    gradient_accumulation_steps: int,
    num_epochs: float,
    max_steps: int | None,
    seed: int,
) -> list[Step]:
    """The steps of a run. Batches are counted in answers.

    Every epoch is a new order of all sequences. A step ends where its answers come nearest to
    `batch_size * gradient_accumulation_steps`; what it has too many or too few is settled by the next, so
    that the mean is right. A rest of less than half a step joins the epoch's last step. Of a fraction of an
    epoch, the share of its steps is taken, rounded up. A row takes sequences while its answers are at most
    `batch_size`, and one at least.

    Raises:
        RecipeError: A number out of range.
        DatasetError: No sequence, or one without an answer to learn from.
    """
    _check(sizes, batch_size, gradient_accumulation_steps, num_epochs, max_steps)
    answers = [size.answers for size in sizes]
    steps: list[Step] = []
    for epoch in range(ceil(num_epochs)):
        groups = _groups(answers, _order(len(sizes), seed, epoch), batch_size * gradient_accumulation_steps)
        # The rounding keeps 0.1 of ten steps at one step, though 1.1 - 1 is a little more than 0.1.
        wanted = ceil(round(min(1.0, num_epochs - epoch) * len(groups), 9))
        seen = 0
        for group in groups[:wanted]:
            seen += len(group)
            steps.append(Step(epoch + seen / len(sizes), tuple(_micro_batches(answers, group, batch_size))))
            if len(steps) == max_steps:
                return steps
    return steps


def spread_marks(steps: int, count: int) -> set[int]:
    """`count` step numbers spread evenly over a run of so many steps, fewer where steps are; the last is always one."""
    return {ceil(steps * part / count) for part in range(1, count + 1)}


def _order(count: int, seed: int, epoch: int) -> list[int]:
    """A permutation that depends on the numbers alone, not on a library's generator or its version."""
    return sorted(range(count), key=lambda index: sha256(f"{seed}:{epoch}:{index}".encode()).digest())


def _groups(answers: Sequence[int], order: Sequence[int], target: int) -> list[list[int]]:
    groups: list[list[int]] = []
    group: list[int] = []
    count, aim = 0, float(target)
    for index in order:
        if group and abs(count + answers[index] - aim) > abs(aim - count):
            groups.append(group)
            # At most half a step is settled, so that one very long conversation starves no later step.
            aim = target + max(-target / 2, min(target / 2, aim - count))
            group, count = [], 0
        group.append(index)
        count += answers[index]
    if groups and count < target / 2:
        groups[-1] += group
    else:
        groups.append(group)
    return groups


def _micro_batches(answers: Sequence[int], group: Sequence[int], batch_size: int) -> Iterator[tuple[int, ...]]:
    micro_batch: list[int] = []
    for index in group:
        if micro_batch and sum(answers[other] for other in micro_batch) + answers[index] > batch_size:
            yield tuple(micro_batch)
            micro_batch = []
        micro_batch.append(index)
    yield tuple(micro_batch)


def _check(
    sizes: Sequence[ExampleSize], batch_size: int, accumulation: int, epochs: float, max_steps: int | None
) -> None:
    if not sizes:
        raise DatasetError("There is no sequence to train on.")
    for number, size in enumerate(sizes):
        if size.answers < 1 or size.trained_tokens < 1:
            raise DatasetError(f"Sequence {number} has no answer to learn from.")
    whole = {"batch_size": batch_size, "gradient_accumulation_steps": accumulation, "max_steps": max_steps}
    for name, value in whole.items():
        if value is not None and value < 1:
            raise RecipeError(f"{name} is {value}; it must be at least 1.")
    if not (isfinite(epochs) and epochs > 0):
        raise RecipeError(f"num_epochs is {epochs}; it must be more than 0.")
