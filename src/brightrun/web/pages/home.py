"""The first page: what runs, what ended last, what it cost, what needs attention."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.database import jobs
from brightrun.web.pages.rendering import page
from brightrun.web.parts import PersonPart, StudioPart

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_home(request: Request, studio: StudioPart, person: PersonPart) -> Response:
    """Home."""
    with studio.database.reading() as session:
        newest = jobs.list_page(session, owner_id=person.owner_id, limit=5)
    return page(request, "home.html", title="Home", active="home", jobs=newest.items)
