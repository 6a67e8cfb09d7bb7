"""One error, two faces over HTTP: `{"error": {message, type, param, code, hint, details}}`, and a page for people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from brightrun.errors import BrightRunError, NotSignedIn, RequestError, TooManyRequests

JSON = "application/json"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
_CODES = {404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}
_MEANINGS = {
    400: "The request cannot be read or cannot be granted as it is.",
    401: "Nobody is signed in, or the token or signature is wrong.",
    403: "The request comes from a place that is not allowed, or a link is expired or forged.",
    404: "There is no such thing, or it belongs to someone else.",
    409: "The thing is in a state that does not allow it.",
    413: "The body is too large.",
    416: "The range begins behind the end of the file.",
    422: "A field is missing or has a value that cannot be used.",
    429: "Too many attempts; `Retry-After` says how long to wait.",
    500: "Something went wrong inside the studio.",
    503: "A part that the studio needs does not answer; trying again helps.",
}
_LIKELY_CODES = {
    400: "invalid_body",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    409: "illegal_transition",
    413: "body_too_large",
    416: "range_not_satisfiable",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal",
    503: "database_unavailable",
}
_ALWAYS = (422, 500, 503)
_RETRY_LATER_SECONDS = 5


class ErrorBody(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(frozen=True)

    message: str = Field(description="A sentence for people.", examples=["There is no job 5f0c."])
    type: str = Field(description="The family of the error.", examples=["not_found_error"])
    param: str | None = Field(description="The field that is meant, if one is.")
    code: str = Field(description="Stable, for programs.", examples=["not_found"])
    hint: str | None = Field(description="How to mend it.")
    details: dict[str, Any] = Field(description="Facts for programs; empty where there are none.")


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    model_config = ConfigDict(frozen=True)

    error: ErrorBody


class Forbidden(RequestError):
    code = "forbidden"
    http_status = 403


class BodyUnreadable(RequestError):
    code = "invalid_body"
    http_status = 400


class BodyTooLarge(HTTPException):
    """Raised while a body is read; a kind that FastAPI passes on."""

    def __init__(self) -> None:
        super().__init__(413, "The body of the request is too large.")


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the error bodies it may answer with."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in sorted({*statuses, *_ALWAYS})}


def example(status: int) -> dict[str, Any]:
    """The body of a likely error with that status."""
    body = ErrorBody(
        message=_MEANINGS[status], type=_type(status), param=None, code=_LIKELY_CODES[status], hint=None, details={}
    )
    return Problem(error=body).model_dump(mode="json")


def _type(status: int) -> str:
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


ErrorPage = Callable[[Request, int, ErrorBody, Mapping[str, str]], Response]
"""Draws an error as a page: the request, the status, the error, headers of the answer."""


def problem(
    status: int, message: str, *, code: str, param: str | None = None, hint: str | None = None,
    details: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, asked: Request | None = None,
) -> Response:  # fmt: skip
    """An error as an answer: a page where `asked` comes from a person who looks at pages, else JSON."""
    kind = _type(status)
    body = ErrorBody(message=message, type=kind, param=param, code=code, hint=hint or None, details=dict(details or {}))
    given = dict(headers or {})
    if status == 503:
        given.setdefault("retry-after", str(_RETRY_LATER_SECONDS))
    if asked is not None and (face := _error_page(asked)) is not None:
        return face(asked, status, body, given)
    # Escaped, since a message may repeat a letter that no encoding knows.
    text = json.dumps(Problem(error=body).model_dump(mode="json"))
    return Response(text, status, headers=given, media_type=JSON)


def add_problems(app: FastAPI, *, headers: Mapping[str, str], error_page: ErrorPage | None = None) -> None:
    """Teach the app to answer every error so.

    Args:
        headers: For the answer to an unforeseen error, which is made outside of every middleware.
        error_page: Draws errors for people; without it everybody gets JSON.
    """
    app.state.error_page = error_page

    def broken(request: Request, _: Exception) -> Response:
        # What happened is in the server's log under the request's id; nothing of it goes out.
        request_id = str(getattr(request.state, "request_id", ""))
        return problem(
            500, "Something went wrong inside the studio.", code="internal", asked=request,
            hint=f"Report it with the request id {request_id}.", headers={**headers, "x-request-id": request_id},
        )  # fmt: skip

    app.add_exception_handler(BrightRunError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, broken)


def _error_page(request: Request) -> ErrorPage | None:
    """Whether the one who asks looks at pages: not at the API, and their browser wants HTML."""
    face: ErrorPage | None = getattr(request.app.state, "error_page", None)
    wants = "text/html" in request.headers.get("accept", "")
    return face if wants and not request.url.path.startswith("/api/") else None


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, BrightRunError)
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        headers["retry-after"] = str(error.details.get("retry_after_seconds", _RETRY_LATER_SECONDS))
    param = error.details.get("param")
    shown = {} if error.http_status >= 500 else {key: _plain(value) for key, value in error.details.items()}
    return problem(
        error.http_status, error.message, code=error.code, param=param if isinstance(param, str) else None,
        hint=error.hint, details=shown, headers=headers, asked=request,
    )  # fmt: skip


def _invalid(request: Request, error: Exception) -> Response:
    """Every field that cannot be used, by its place; what was sent is never repeated, since it may be a secret."""
    assert isinstance(error, RequestValidationError)
    found = [(_place(each["loc"]), str(each["msg"]), str(each["type"])) for each in error.errors()]
    if any(kind == "json_invalid" for *_, kind in found):
        return problem(400, "The body is not JSON.", code="invalid_json", asked=request)
    told = [{"param": place, "message": message} for place, message, _ in found]
    told = [dict(pair) for pair in dict.fromkeys(tuple(each.items()) for each in told)]
    text = "; ".join(f"{each['param']}: {each['message']}" if each["param"] else each["message"] for each in told)
    return problem(
        422, f"The request cannot be used: {text}.", code="invalid_request", param=told[0]["param"] or None,
        details={"errors": told}, asked=request,
    )  # fmt: skip


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    code = _CODES.get(status, "invalid_request")
    message = {404: "There is no such address.", 405: "The address does not know this method."}.get(status)
    return problem(status, message or str(error.detail), code=code, headers=error.headers, asked=request)


def _left(_: Request, __: Exception) -> Response:
    return problem(400, "The request ended before its body did.", code="invalid_body")


def _place(location: tuple[int | str, ...]) -> str:
    parts = location[1:] if location and location[0] in {"body", "query", "path", "header", "cookie"} else location
    return ".".join(str(part) for part in parts)


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)
