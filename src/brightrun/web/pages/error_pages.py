"""The second face of an error: a page, for people. Programs get JSON; problems.py knows when which."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from brightrun.web.pages.rendering import page
from brightrun.web.problems import ErrorBody

LOGIN = "/login"
_TITLES = {
    400: "That did not work",
    403: "Not from here",
    404: "Nothing is here",
    409: "Not in this state",
    422: "Something is missing",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Not right now",
}


def show_problem(request: Request, status: int, body: ErrorBody, headers: Mapping[str, str]) -> Response:
    """An error as a page; whoever is not signed in is asked to, and comes back to where they wanted."""
    if status == 401 and request.url.path != LOGIN:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = wanted if request.method == "GET" else "/"
        return RedirectResponse(f"{LOGIN}?next={quote(wanted, safe='')}", 303)
    title = _TITLES.get(status, "That did not work")
    request_id = getattr(request.state, "request_id", "")
    return page(
        request, "problem.html", status=status, headers=dict(headers), title=title, active=None, error=body,
        request_id=request_id,
    )  # fmt: skip
