"""How well plans came true: estimate beside actual, job by job and over all. Pure; knows no table and no chart."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from brightrun.contract.actuals import Actuals
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.planning.durations import Duration
from brightrun.planning.job_plan import JobPlan, Phase

MEMORY = "memory"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figure(_Frozen):
    """One estimate with its band, and what came of it, in the same unit."""

    estimate: float = Field(gt=0)
    low: float
    high: float
    actual: float = Field(gt=0)

    @computed_field(description="Actual by estimate; 1 is a plan that came true.")  # type: ignore[prop-decorator]
    @property
    def ratio(self) -> float:
        return self.actual / self.estimate

    @computed_field(description="Whether the actual lies within the band.")  # type: ignore[prop-decorator]
    @property
    def within(self) -> bool:
        return self.low <= self.actual <= self.high


class RunKind(_Frozen):
    """Runs that can teach about each other: the same base model on the same kind of device, held alike."""

    base_model: str
    device: str = Field(description="cpu or cuda.")
    device_name: str
    precision: str = Field(description="nf4 or none.")


class JobEstimateError(_Frozen):
    """A job that ran undisturbed to its end. Seconds, bytes, dollars; a figure is absent where a side is not known."""

    job_id: str
    name: str
    ended_at: datetime | None
    kind: RunKind
    duration: Figure | None
    training: Figure | None = Field(description="Steps, and the measurements and checkpoints among them.")
    memory: Figure | None
    cost: Figure | None
    phases: dict[str, Figure]
    ratios: dict[str, float] = Field(
        description="Actual by the estimate before it was corrected: what calibrations are fitted to."
    )
    used_for_calibration: int = Field(description="Earlier runs the estimate was corrected by.")


class Summary(_Frozen):
    """One quantity over all jobs that have it."""

    quantity: str
    jobs: int
    within: int = Field(description="How many actuals lay within their bands.")
    median_ratio: float = Field(description="Half of the jobs came out above it, half below; 1 is right.")
    median_error: float = Field(description="Median of |actual ÷ estimate − 1|.")


def kind_of(plan: JobPlan, hyperparameters: Hyperparameters) -> RunKind:
    """Which runs a plan can learn from."""
    held = hyperparameters.resolve(plan.device).quantization
    name = plan.gpu or plan.device_name
    return RunKind(base_model=plan.base_model, device=plan.device, device_name=name, precision=held)


def compare_job(
    plan: JobPlan,
    actuals: Actuals,
    *,
    job_id: str,
    name: str,
    kind: RunKind,
    ended_at: datetime | None = None,
    cost_usd: Decimal | None = None,
) -> JobEstimateError | None:
    """A job's plan beside what it took; None where they are not of the same run: resumed, cut short, failed."""
    if not actuals.completed or actuals.steps != plan.steps or actuals.resumed_step is not None:
        return None
    phases: dict[Phase, Figure] = {
        phase: figure
        for phase, planned in plan.phases.items()
        if (figure := _time(planned, actuals.seconds_by_phase.get(phase))) is not None
    }
    memory = plan.memory
    peak = actuals.peak_memory_bytes
    ratios = {phase: figure.ratio * _factor(plan, phase) for phase, figure in phases.items()}
    return JobEstimateError(
        job_id=job_id,
        name=name,
        ended_at=ended_at,
        kind=kind,
        duration=_time(plan.duration, sum(actuals.seconds_by_phase.values())),
        training=phases.get("training"),
        memory=_figure(memory.total_bytes, memory.low_bytes, memory.high_bytes, peak),
        cost=None if plan.cost is None or cost_usd is None else _figure(
            float(plan.cost.expected_usd), float(plan.cost.low_usd), float(plan.cost.high_usd), float(cost_usd)
        ),
        phases=dict(phases),
        ratios=dict(ratios),
        used_for_calibration=max((calibration.runs for calibration in plan.calibrations.values()), default=0),
    )  # fmt: skip


def summarize(jobs: Iterable[JobEstimateError]) -> list[Summary]:
    """Each quantity over the jobs that have it; one that no job has is left out."""
    listed = list(jobs)
    quantities = {
        "duration": [job.duration for job in listed],
        "training": [job.training for job in listed],
        MEMORY: [job.memory for job in listed],
        "cost": [job.cost for job in listed],
    }
    summaries = (_summary(name, [f for f in figures if f is not None]) for name, figures in quantities.items())
    return [summary for summary in summaries if summary is not None]


def ratios_of_kind(jobs: Iterable[JobEstimateError], kind: RunKind) -> list[dict[str, float]]:
    """What a run of that kind can learn from."""
    return [job.ratios for job in jobs if job.kind == kind]


def _summary(name: str, figures: Sequence[Figure]) -> Summary | None:
    if not figures:
        return None
    return Summary(
        quantity=name,
        jobs=len(figures),
        within=sum(figure.within for figure in figures),
        median_ratio=statistics.median(figure.ratio for figure in figures),
        median_error=statistics.median(abs(figure.ratio - 1) for figure in figures),
    )


def _factor(plan: JobPlan, phase: Phase) -> float:
    calibration = plan.calibrations.get(phase)
    return 1.0 if calibration is None else calibration.factor


def _time(planned: Duration, seconds: float | None) -> Figure | None:
    return _figure(planned.expected_seconds, planned.low_seconds, planned.high_seconds, seconds)


def _figure(estimate: float, low: float, high: float, actual: float | None) -> Figure | None:
    if actual is None or actual <= 0 or estimate <= 0:
        return None
    return Figure(estimate=estimate, low=low, high=high, actual=actual)
