"""What past jobs took beside what was planned, and the next plan corrected by it. The arithmetic is in planning."""

from __future__ import annotations

from pydantic import ValidationError

from brightrun.contract.actuals import Actuals, measure
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.database import events, jobs
from brightrun.database.tables import TrainingAttempt, TrainingJob
from brightrun.jobs.studio import Studio
from brightrun.planning.calibrated_plan import calibrated
from brightrun.planning.estimate_error import JobEstimateError, compare_job, kind_of, ratios_of_kind
from brightrun.planning.job_plan import JobPlan


def measure_attempt(studio: Studio, attempt: TrainingAttempt) -> Actuals | None:
    """Read off what is here of an attempt's event log; None where nothing is."""
    with studio.database.reading() as session:
        rows = events.event_log(session, attempt.job_id, attempt.number)
        return measure((row.event for row in rows), launched_at=attempt.launched_at)


def past_estimate_errors(studio: Studio, *, owner_id: str, limit: int = 200) -> list[JobEstimateError]:
    """An owner's jobs that ran undisturbed to their end, estimate beside actual, the newest first."""
    with studio.database.reading() as session:
        rows = jobs.list_measured(session, owner_id=owner_id, limit=limit)
    compared = (_compared(job, attempt) for job, attempt in rows)
    return [each for each in compared if each is not None]


def calibrate_plan(studio: Studio, owner_id: str, plan: JobPlan, hyperparameters: Hyperparameters) -> JobPlan:
    """The plan corrected by the owner's earlier runs of its kind; as it is where there are fewer than two."""
    kind = kind_of(plan, hyperparameters)
    return calibrated(plan, ratios_of_kind(past_estimate_errors(studio, owner_id=owner_id), kind))


def _compared(job: TrainingJob, attempt: TrainingAttempt) -> JobEstimateError | None:
    """None where the plan was made by a version that this one cannot read, or the two cannot be compared."""
    plan, actuals = job.plan, attempt.actuals
    if plan is None or actuals is None:
        return None
    try:
        hyperparameters = Hyperparameters.model_validate(job.hyperparameters)
    except ValidationError:
        return None
    return compare_job(
        plan,
        actuals,
        job_id=job.id,
        name=job.name,
        kind=kind_of(plan, hyperparameters),
        ended_at=job.completed_at,
        cost_usd=job.actual_cost_usd,
    )
