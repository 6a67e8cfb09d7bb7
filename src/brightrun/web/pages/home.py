"""The first page, live: what runs, what finished last, what needs attention, what the month has cost."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.catalogue.models import EMBEDDED_MODEL
from brightrun.web.deps import CurrentPrincipal, StudioDep
from brightrun.web.pages.home_facts import FAILED_SINCE, read_home
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/")
def show_home(request: Request, studio: StudioDep, principal: CurrentPrincipal) -> Response:
    """Home."""
    facts = read_home(studio, principal.owner_id)
    return page(request, "home.html", title="Home", active="home", facts=facts, **_SAID)


@router.get("/home/now")
def show_now(request: Request, studio: StudioDep, principal: CurrentPrincipal) -> Response:
    """All of it but the frame, as it is fetched again and again."""
    return page(request, "home_now.html", facts=read_home(studio, principal.owner_id), **_SAID)


_SAID: dict[str, Any] = {"embedded": EMBEDDED_MODEL, "failed_days": FAILED_SINCE.days}
