"""Settings: what the studio is connected to and whether it answers, tokens, budget, notifications, the environment."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from brightrun.database import tokens
from brightrun.errors import NotFound
from brightrun.jobs.connections import CONNECTIONS
from brightrun.jobs.month_budget import month_budget
from brightrun.web.deps import CurrentPrincipal, OptionsDep, StudioDep
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False, prefix="/settings")

_TOKENS = 100


def _require_operator(principal: CurrentPrincipal, options: OptionsDep) -> None:
    """What an installation stands on is nobody's business but its operator's; others find nothing here."""
    if principal.owner_id != options.operator:
        raise NotFound("There is no such address.")


@router.get("")
def show_settings(request: Request, studio: StudioDep, principal: CurrentPrincipal, options: OptionsDep) -> Response:
    """The page. Connections are asked one by one after it is there, since one that is away takes its time to say so."""
    with studio.database.reading() as session:
        listed = tokens.list_page(session, owner_id=principal.owner_id, limit=_TOKENS)
    is_operator = principal.owner_id == options.operator
    return page(
        request, "settings.html", title="Settings", active="settings", means=principal.means, is_operator=is_operator,
        connections=CONNECTIONS if is_operator else {}, rows=options.settings if is_operator else (),
        live=[row for row in listed.items if row.revoked_at is None],
        revoked=[row for row in listed.items if row.revoked_at is not None],
        has_more=listed.has_more, money=month_budget(studio, owner_id=principal.owner_id),
    )  # fmt: skip


@router.get("/checks/{name}", dependencies=[Depends(_require_operator)])
def show_check(request: Request, studio: StudioDep, name: Annotated[str, Path(max_length=40)]) -> Response:
    """One connection, asked now."""
    ask = CONNECTIONS.get(name)
    if ask is None:
        raise NotFound(f"There is no check {name}.")
    return page(request, "settings_check.html", findings=ask(studio))
