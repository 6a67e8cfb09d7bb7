"""A job's plan as its row keeps it: the training's plan, every phase's time, money, and what to change."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.planning.calibration import Calibration
from brightrun.planning.cost import CostEstimate, HourlyPrice, estimate_cost
from brightrun.planning.device import DeviceGuess
from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.phases import PHASES, Outline, Phase, ValidationSet, marks, plan_phases
from brightrun.planning.plan import NO_VALIDATION, RunShape, TrainingPlan, plan_shape

__all__ = ["PHASES", "JobPlan", "Phase", "PlanCheck", "PlanFix", "ValidationSet", "plan_job", "priced"]


class PlanFix(BaseModel):
    """A change that makes the plan fit: in words, and as the values to send with the next request.

    `hyperparameters` go where settings of the recipe go, `compute` into the wish for a machine; `base_model` is another
    base model's name. What is not set stays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: str = Field(min_length=1)
    hyperparameters: dict[str, int | float | str | bool] = Field(default_factory=dict)
    compute: dict[str, int | float | str] = Field(default_factory=dict)
    base_model: str | None = None


class PlanCheck(BaseModel):
    """Something that was looked at before the start. `passed` is absent where it could not be known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["memory", "cap", "duration", "disk", "price"]
    passed: bool | None
    words: str = Field(min_length=1)
    warning: bool = Field(default=False, description="Passed, but with something to know.")


class JobPlan(TrainingPlan):
    """Everything that is expected of a job, before it starts.

    `duration` is the sum of the phases. `tokens_per_second` counts the steps alone. `checkpoint_seconds` is the work
    between two checkpoints and `restart_seconds` what a lost machine costs before the next step. `cost` is absent where
    no price is known.
    """

    base_model: str
    gpu: str | None = Field(description="A GPU of the catalogue; absent on a processor.")
    phases: dict[Phase, Duration]
    duration: Duration
    tokens_per_second: float = Field(gt=0)
    checkpoint_seconds: float = Field(gt=0)
    restart_seconds: float = Field(ge=0)
    cost: CostEstimate | None = None
    calibrations: dict[Phase, Calibration] = Field(
        default_factory=dict, description="What earlier runs of this kind taught; the times above hold it already."
    )
    checks: tuple[PlanCheck, ...] = ()
    fixes: tuple[PlanFix, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether a check failed: the job must not be started like this."""
        return any(check.passed is False for check in self.checks)


def priced(plan: JobPlan, price: HourlyPrice | None) -> JobPlan:
    """The plan with its cost at that price; without one where None."""
    cost = None
    if price is not None:
        cost = estimate_cost(
            plan.duration,
            price,
            checkpoint_seconds=plan.checkpoint_seconds,
            restart_seconds=plan.restart_seconds,
        )
    return plan.model_copy(update={"cost": cost})


def plan_job(
    shape: RunShape, device: DeviceGuess, *, validation: ValidationSet = NO_VALIDATION, price: HourlyPrice | None = None
) -> JobPlan:
    """The whole plan of a job that was laid out for this kind of device. `price` absent: unknown."""
    training = plan_shape(shape, device, validation)
    outline = Outline(
        steps=shape.steps,
        training=training.training,
        tokens_per_epoch=training.tokens_per_epoch,
        adapter=shape.adapter,
    )
    phases = plan_phases(outline, validation, shape.hyperparameters, shape.entry, device)
    plan = JobPlan(
        **{name: getattr(training, name) for name in TrainingPlan.model_fields},
        base_model=shape.entry.name,
        gpu=device.gpu,
        phases=phases,
        duration=in_sequence(phases.values(), "the sum of the phases"),
        tokens_per_second=training.tokens_total / training.training.expected_seconds,
        checkpoint_seconds=phases["training"].expected_seconds / marks(shape.steps, shape.hyperparameters.checkpoints),
        restart_seconds=phases["provisioning"].expected_seconds + phases["preprocessing"].expected_seconds,
    )
    return priced(plan, price)
