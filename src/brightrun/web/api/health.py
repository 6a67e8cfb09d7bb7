"""Whether the studio can work. Tells nothing that a stranger may not know."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

import brightrun
from brightrun.database.database import DatabaseUnavailable
from brightrun.jobs.studio import Studio
from brightrun.web.deps import Answer, StudioDep

router = APIRouter(tags=["health"])


class Health(Answer):
    """`ok` is false where something does not work."""

    ok: bool
    version: str
    database: Literal["ok", "to_migrate", "unavailable"]


@router.get(
    "/api/health",
    responses={503: {"model": Health, "description": "Something does not work."}},
    openapi_extra={"security": []},
)
def health(studio: StudioDep, response: Response) -> Health:
    """For load balancers and `brightrun doctor`; needs no login."""
    found = _database(studio)
    if found != "ok":
        response.status_code = 503
    return Health(ok=found == "ok", version=brightrun.__version__, database=found)


def _database(studio: Studio) -> Literal["ok", "to_migrate", "unavailable"]:
    try:
        return "ok" if studio.database.is_current() else "to_migrate"
    except DatabaseUnavailable:
        return "unavailable"
