"""Examples to optimizer steps. Which examples make a step is `templating/batches.py`'s arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.templating.batches import ExampleSize, Step, plan_steps


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
