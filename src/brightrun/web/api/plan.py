"""What a job would take, before anything is started."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from brightrun.jobs.submit import StartJob, plan_job
from brightrun.planning.plan import TrainingPlan
from brightrun.web.parts import PLAIN_JSON, Answer, PersonPart, StudioPart, Usd
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["jobs"])


class PlanView(Answer):
    """A plan, and its sums in minutes and dollars."""

    object: Literal["training.plan"] = "training.plan"
    plan: TrainingPlan
    fits: bool | None = Field(description="Whether the machine's memory suffices; absent where it is not known.")
    estimated_duration_minutes: float
    estimated_duration_minutes_low: float
    estimated_duration_minutes_high: float
    estimated_cost_usd: Usd | None = Field(None, description="Absent where the machine has no price.")


@router.post("/plan", dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 404, 409, 413))
def plan(studio: StudioPart, person: PersonPart, request: StartJob) -> PlanView:
    """Steps, tokens, time and memory of a job; nothing is stored and nothing is started."""
    made = plan_job(studio, request, owner_id=person.owner_id)
    parts = [part for part in (made.training, made.evaluation) if part is not None]
    return PlanView(
        plan=made,
        fits=made.fits,
        estimated_duration_minutes=sum(part.expected_seconds for part in parts) / 60,
        estimated_duration_minutes_low=sum(part.low_seconds for part in parts) / 60,
        estimated_duration_minutes_high=sum(part.high_seconds for part in parts) / 60,
    )
