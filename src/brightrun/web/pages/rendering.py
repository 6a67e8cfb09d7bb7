"""Turns a template and values into a page: its environment, its headers, its theme."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined

import brightrun
from brightrun.evaluation.pages import add_filters
from brightrun.web.pages.format import PAGE_FILTERS

THEME_COOKIE = "brightrun_theme"
THEMES = ("light", "dark")
_CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Under no-referrer browsers send `Origin: null` with a form, which nobody could tell from a page of another site.
_HEADERS = {"content-security-policy": _CONTENT, "referrer-policy": "same-origin"}
NAVIGATION = (
    ("home", "/", "Home"),
    ("datasets", "/datasets", "Datasets"),
    ("jobs", "/jobs", "Jobs"),
    ("estimates", "/estimates", "Estimates"),
    ("settings", "/settings", "Settings"),
)


def page(
    request: Request, template: str, /, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """A page, or a fragment of one: whatever the template is."""
    known = {
        "theme": _theme(request),
        "navigation": NAVIGATION,
        "login_required": request.app.state.access.login_required,
        "version": brightrun.__version__,
        "here": request.url.path,
        "asset": asset,
    }
    text = environment().get_template(template).render(known | values)
    return HTMLResponse(text, status, headers={**(headers or {}), **_HEADERS})


@cache
def environment() -> Environment:
    """Templates whose every value is escaped and in which a missing value is an error."""
    made = Environment(
        loader=ChoiceLoader(
            [PackageLoader("brightrun.web"), PrefixLoader({"evaluation": PackageLoader("brightrun.evaluation")})]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    add_filters(made)
    made.filters.update(PAGE_FILTERS)
    return made


@cache
def asset(name: str) -> str:
    """The address of a file of static/, which changes with its bytes and may so be kept for ever."""
    content = files("brightrun.web").joinpath("static", name).read_bytes()
    return f"/static/{quote(name)}?v={hashlib.sha256(content).hexdigest()[:12]}"


def local_path(wanted: str | None) -> str:
    """Where to go after signing in: a path of this studio, never an address elsewhere."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or not wanted.isprintable():
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc else wanted


def _theme(request: Request) -> str | None:
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None
