"""The login page: an API token becomes a session. Studios on this machine alone have none."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from brightrun.errors import NotSignedIn, TooManyRequests
from brightrun.web.api.session import forget_session, keep_session
from brightrun.web.deps import AccessDep, OptionsDep
from brightrun.web.pages.error_pages import LOGIN
from brightrun.web.pages.rendering import local_path, page

router = APIRouter(include_in_schema=False)


@router.get(LOGIN)
def show_login(request: Request, access: AccessDep, next: str = "/") -> Response:  # noqa: A002 the usual name
    """The form; who needs no login is taken on."""
    if not access.login_required:
        return RedirectResponse(local_path(next), 303)
    return _form(request, next)


@router.post(LOGIN)
def sign_in(
    request: Request,
    access: AccessDep,
    options: OptionsDep,
    token: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002 the usual name
) -> Response:
    """Sign in and go on; a wrong token brings the form again, with what was wrong."""
    try:
        signed = access.sign_in(request, token.strip())
    except (NotSignedIn, TooManyRequests) as error:
        wait = error.details.get("retry_after_seconds")
        headers = {} if wait is None else {"retry-after": str(wait)}
        return _form(request, next, problem=error.message, wait=wait, status=error.http_status, headers=headers)
    answer = RedirectResponse(local_path(next), 303)
    keep_session(answer, signed, https=options.https)
    return answer


@router.post("/logout")
def sign_out(request: Request, access: AccessDep, options: OptionsDep) -> Response:
    """Forget the session in this browser."""
    access.principal(request)
    answer = RedirectResponse(LOGIN if access.login_required else "/", 303)
    forget_session(answer, https=options.https)
    return answer


def _form(
    request: Request,
    wanted: str,
    *,
    problem: str | None = None,
    wait: object = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return page(
        request, "login.html", status=status, headers=headers, title="Sign in", active=None, next=local_path(wanted),
        problem=problem, wait=wait,
    )  # fmt: skip
