"""How well past plans came true, over HTTP: as figures and as a drawing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from brightrun.errors import NotFound
from brightrun.jobs.estimate_chart import Quantity, estimate_errors_chart
from brightrun.jobs.history import past_estimate_errors
from brightrun.planning.estimate_error import JobEstimateError, Summary, summarize
from brightrun.web.deps import Answer, CurrentPrincipal, Limit, StudioDep
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["budget"])
_SVG = "image/svg+xml"


class EstimateAccuracyView(Answer):
    """Estimate beside actual of jobs that ran undisturbed to their end, the newest first."""

    object: Literal["training.estimate_accuracy"] = "training.estimate_accuracy"
    jobs: list[JobEstimateError]
    summaries: list[Summary]


@router.get("/estimate-accuracy", responses=declared(401, 403))
def show_estimate_accuracy(studio: StudioDep, principal: CurrentPrincipal, limit: Limit = 50) -> EstimateAccuracyView:
    """Estimate beside actual: time, memory and cost of past jobs. The next plans are corrected by them."""
    jobs = past_estimate_errors(studio, owner_id=principal.owner_id, limit=limit)
    return EstimateAccuracyView(jobs=jobs, summaries=summarize(jobs))


@router.get(
    "/estimate-accuracy.svg",
    response_class=Response,
    responses=declared(401, 403, 404)
    | {200: {"content": {_SVG: {"schema": {"type": "string"}}}, "description": "The drawing."}},
)
def draw_estimate_accuracy(
    studio: StudioDep,
    principal: CurrentPrincipal,
    quantity: Annotated[Quantity, Query(description="What is compared.")] = "duration",
    limit: Limit = 30,
) -> Response:
    """The same as a drawing, one line a job. 404 where no job has that quantity."""
    drawn = estimate_errors_chart(past_estimate_errors(studio, owner_id=principal.owner_id, limit=limit), quantity)
    if drawn is None:
        raise NotFound(f"No job has both an estimate and an actual {quantity} yet.", hint="Run a job to its end first.")
    return Response(drawn, media_type=_SVG)
