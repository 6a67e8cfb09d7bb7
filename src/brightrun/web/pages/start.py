"""Start training in three steps: dataset, recipe, review. A page of its own, and the content of a dialog elsewhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from brightrun.format import band_text
from brightrun.jobs.submit import JobRequest
from brightrun.web.deps import PLAIN_JSON, CurrentPrincipal, StudioDep
from brightrun.web.pages.rendering import page
from brightrun.web.pages.start_form import start_form
from brightrun.web.pages.start_review import review_job

router = APIRouter(include_in_schema=False, prefix="/start")
_Id = Query(pattern=r"^[A-Za-z0-9_-]{1,100}$")


@router.get("")
def show_start(
    request: Request,
    studio: StudioDep,
    principal: CurrentPrincipal,
    dataset: Annotated[str | None, _Id] = None,
    retry_of: Annotated[str | None, _Id] = None,
) -> Response:
    """The form."""
    form = start_form(studio, principal.owner_id, dataset=dataset, retry_of=retry_of)
    title = "Start training" if form.retry is None else "Try again"
    return page(request, "start.html", title=title, active="jobs", form=form)


@router.post("/review", dependencies=PLAIN_JSON)
def show_review(request: Request, studio: StudioDep, principal: CurrentPrincipal, job_request: JobRequest) -> Response:
    """The plan of what the form says now; a setting that cannot be is an error with its field."""
    review = review_job(studio, principal.owner_id, job_request)
    return page(request, "start_review.html", review=review, band_text=band_text)
