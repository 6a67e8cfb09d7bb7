"""Serves style, scripts and icons of the pages; browsers keep them for as long as their address names their bytes."""

from __future__ import annotations

import os
from importlib.resources import as_file, files

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PREFIX = "/static"


class _Kept(StaticFiles):
    """An address with `?v=` never shows other bytes, so it may be kept; without, the browser asks each time."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        versioned = scope.get("query_string", b"").startswith(b"v=")
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return answer


def add_static_files(app: FastAPI) -> None:
    """Mount them; the package is always a folder, since its wheel is unpacked when it is installed."""
    with as_file(files("brightrun.web").joinpath("static")) as folder:
        app.mount(PREFIX, _Kept(directory=folder), name="static")
