"""How well past plans came true, over HTTP: as figures and as a drawing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from brightrun.errors import NotFound
from brightrun.jobs.accuracy_chart import Quantity, accuracy_chart
from brightrun.jobs.history import past_accuracy
from brightrun.planning.accuracy import JobAccuracy, Summary, summarise
from brightrun.web.parts import Answer, Limit, PersonPart, StudioPart
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["budget"])
_SVG = "image/svg+xml"


class AccuracyView(Answer):
    """Estimate beside actual of jobs that ran undisturbed to their end, the newest first."""

    object: Literal["training.accuracy"] = "training.accuracy"
    jobs: list[JobAccuracy]
    summaries: list[Summary]


@router.get("/accuracy", responses=declared(401, 403))
def show_accuracy(studio: StudioPart, person: PersonPart, limit: Limit = 50) -> AccuracyView:
    """Estimate beside actual: time, memory and cost of past jobs. The next plans are corrected by them."""
    jobs = past_accuracy(studio, owner_id=person.owner_id, limit=limit)
    return AccuracyView(jobs=jobs, summaries=summarise(jobs))


@router.get(
    "/accuracy.svg",
    response_class=Response,
    responses=declared(401, 403, 404)
    | {200: {"content": {_SVG: {"schema": {"type": "string"}}}, "description": "The drawing."}},
)
def draw_accuracy(
    studio: StudioPart,
    person: PersonPart,
    quantity: Annotated[Quantity, Query(description="What is compared.")] = "duration",
    limit: Limit = 30,
) -> Response:
    """The same as a drawing, one line a job. 404 where no job has that quantity."""
    drawn = accuracy_chart(past_accuracy(studio, owner_id=person.owner_id, limit=limit), quantity)
    if drawn is None:
        raise NotFound(f"No job has both an estimate and an actual {quantity} yet.", hint="Run a job to its end first.")
    return Response(drawn, media_type=_SVG)
