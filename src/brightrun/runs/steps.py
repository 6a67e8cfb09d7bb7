"""Examples to optimizer steps, and what happens after which of them. Which examples make a step is the arithmetic of
`templating/batches.py`."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.templating.batches import ExampleSize, Step, plan_steps, spread_marks


def run_steps(sizes: Sequence[ExampleSize], hyperparameters: Hyperparameters) -> list[Step]:
    """The run's optimizer steps, in order. Raises as `plan_steps`."""
    return plan_steps(
        sizes,
        batch_size=hyperparameters.batch_size,
        gradient_accumulation_steps=hyperparameters.gradient_accumulation_steps,
        num_epochs=hyperparameters.num_epochs,
        max_steps=hyperparameters.max_steps,
        seed=hyperparameters.seed,
    )


def checkpoint_steps(steps: int, hyperparameters: Hyperparameters) -> set[int]:
    """After which steps, from 1, a checkpoint is written; the last is always one."""
    return spread_marks(steps, hyperparameters.checkpoints)


def evaluation_steps(steps: int, hyperparameters: Hyperparameters) -> set[int]:
    """After which steps validation loss is measured.

    After the last one only where the best adapter is delivered: the last adapter is measured as it is delivered.
    """
    marks = spread_marks(steps, hyperparameters.evaluations)
    return marks if hyperparameters.adapter_choice == "best" else marks - {steps}
