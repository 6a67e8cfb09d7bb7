"""Signing in and out, for people with a browser. Programs send their token with every request instead."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from brightrun.web.access import SignIn
from brightrun.web.deps import PLAIN_JSON, AccessDep, Answer, CurrentPrincipal, OptionsDep
from brightrun.web.problems import declared
from brightrun.web.sign_in import SESSION_COOKIE

router = APIRouter(prefix="/api/session", tags=["session"])


class GivenToken(BaseModel):
    """An API token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr = Field(max_length=200, description="As `brightrun token create` showed it.")


class SessionView(Answer):
    """Who is signed in."""

    owner_id: str
    means: Literal["loopback", "token", "session"]
    expires_at: datetime | None = None


@router.post("", dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 413, 429), openapi_extra={"security": []})
def sign_in(
    request: Request, response: Response, access: AccessDep, options: OptionsDep, given: GivenToken
) -> SessionView:
    """Exchange an API token for a session cookie; ten wrong ones from one address, and it has to wait."""
    signed = access.sign_in(request, given.token.get_secret_value())
    keep_session(response, signed, https=options.https)
    return SessionView(owner_id=signed.principal.owner_id, means=signed.principal.means, expires_at=signed.expires_at)


@router.get("", responses=declared(401, 403))
def show_session(principal: CurrentPrincipal) -> SessionView:
    """Who is signed in."""
    return SessionView(owner_id=principal.owner_id, means=principal.means)


@router.delete("", status_code=204, responses=declared(401, 403))
def sign_out(response: Response, options: OptionsDep, principal: CurrentPrincipal) -> None:  # noqa: ARG001 who may
    """Forget the session in this browser."""
    forget_session(response, https=options.https)


def keep_session(response: Response, signed: SignIn, *, https: bool) -> None:
    """Give the browser the session's cookie, where there is one.

    Its age is told and not its end, since the browser's clock may be wrong.
    """
    if signed.cookie is not None and signed.lifetime is not None:
        age = int(signed.lifetime.total_seconds())
        response.set_cookie(
            SESSION_COOKIE, signed.cookie, max_age=age, httponly=True, secure=https, samesite="lax", path="/"
        )


def forget_session(response: Response, *, https: bool) -> None:
    """Take it back."""
    response.delete_cookie(SESSION_COOKIE, httponly=True, secure=https, samesite="lax", path="/")
