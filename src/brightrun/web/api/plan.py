"""What a job would take, before anything is started."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from brightrun.evaluation.outlook import Outlook
from brightrun.jobs.submit import JobRequest, plan_job
from brightrun.planning.choice import GpuOffer
from brightrun.planning.job_plan import JobPlan
from brightrun.web.deps import PLAIN_JSON, Answer, CurrentPrincipal, StudioDep, Usd
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["jobs"])


class PlanView(Answer):
    """A plan, its sums in minutes and dollars, and the GPUs that the same job could be given."""

    object: Literal["training.plan"] = "training.plan"
    plan: JobPlan
    fits: bool | None = Field(description="Whether the machine's memory suffices; absent where it is not known.")
    refused: bool = Field(
        description="Whether starting this job would be refused; the plan's checks and fixes say why."
    )
    dataset_refused: bool = Field(description="Whether the audit found an error, so that nothing may be trained on it.")
    estimated_duration_minutes: float
    estimated_duration_minutes_low: float
    estimated_duration_minutes_high: float
    estimated_cost_usd: Usd | None = Field(None, description="Absent where the machine has no known price.")
    estimated_cost_usd_low: Usd | None = None
    estimated_cost_usd_high: Usd | None = None
    verdict: Outlook = Field(description="On how many conversations the verdict will rest, and what it could see.")
    gpus: list[GpuOffer] = Field(description="Those that hold the job first, by dollars; then by hours.")


@router.post("/plan", dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 404, 409, 413))
def plan(studio: StudioDep, principal: CurrentPrincipal, request: JobRequest) -> PlanView:
    """Steps, tokens, memory, time and dollars of a job, and what to change where it does not fit.

    Nothing is stored and nothing is started. With `compute.gpu_type` the plan is for that GPU, else for this machine.
    The base model need not be pulled where its tokenizer is at hand.
    """
    made = plan_job(studio, request, owner_id=principal.owner_id)
    duration, cost = made.plan.duration, made.plan.cost
    return PlanView(
        plan=made.plan,
        fits=made.plan.fits,
        refused=made.plan.refused,
        dataset_refused=made.prepared.audit.refused,
        estimated_duration_minutes=duration.expected_seconds / 60,
        estimated_duration_minutes_low=duration.low_seconds / 60,
        estimated_duration_minutes_high=duration.high_seconds / 60,
        estimated_cost_usd=cost.expected_usd if cost else None,
        estimated_cost_usd_low=cost.low_usd if cost else None,
        estimated_cost_usd_high=cost.high_usd if cost else None,
        verdict=made.outlook,
        gpus=list(made.offers),
    )
