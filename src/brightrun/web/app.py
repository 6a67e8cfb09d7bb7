"""Puts the web room together: routes, errors, headers, limits. The studio and who may enter are given to it."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

import brightrun
from brightrun.jobs import playground
from brightrun.jobs.studio import Studio
from brightrun.web.access import Access
from brightrun.web.api import (
    artifacts,
    budget,
    catalogue,
    chat,
    conversations,
    estimate_accuracy,
    events,
    files,
    health,
    jobs,
    metrics_csv,
    plan,
    problem_rows,
    rows,
    session,
    storage_links,
    tokens,
    webhook,
)
from brightrun.web.middleware import BodyLimitMiddleware, HeadMiddleware, RequestIdMiddleware, security_headers
from brightrun.web.openapi import describer
from brightrun.web.options import MIB, WebOptions
from brightrun.web.pages import (
    choose,
    compare,
    comparison,
    conversation,
    dataset,
    datasets,
    estimates,
    home,
    job,
    login,
    start,
)
from brightrun.web.pages import jobs as jobs_pages
from brightrun.web.pages import settings as settings_pages
from brightrun.web.pages.error_pages import show_problem
from brightrun.web.pages.static_files import add_static_files
from brightrun.web.problems import add_problems
from brightrun.web.receive import SCRATCH_PREFIX
from brightrun.web.upload_progress import UploadProgress

_FORM_OVERHEAD = MIB // 16  # what a form adds to the file that it carries
_SCRATCH_AGE_SECONDS = 24 * 3600.0
_DESCRIPTION = """
Datasets in, LoRA adapters out. Every error has the body `{"error": {"message", "type", "param", "code"}}` and every
answer an `x-request-id`. Lists are `{"object": "list", "data", "has_more"}`, continued with `after` and `limit`.
"""


def create_app(studio: Studio, access: Access, options: WebOptions | None = None) -> FastAPI:
    """The studio over HTTP."""
    options = options or WebOptions()
    app = FastAPI(
        title="Bright Run Train",
        version=brightrun.__version__,
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # the pages of FastAPI load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation,
        lifespan=_life,
    )
    app.state.studio, app.state.access, app.state.options = studio, access, options
    app.state.playground = playground.Playground(studio)
    app.state.uploads = UploadProgress()
    for room in (
        *(
            files,
            plan,
            budget,
            estimate_accuracy,
            jobs,
            metrics_csv,
            events,
            artifacts,
            chat,
            webhook,
            catalogue,
            storage_links,
        ),
        *(session, health),
        *(problem_rows, rows, conversations, tokens),
    ):
        app.include_router(room.router)
    for pages in (jobs_pages, settings_pages):  # /jobs/list stands before /jobs/{job_id}
        app.include_router(pages.router)
    for pages in (home, login, job, comparison, compare):
        app.include_router(pages.router)
    for pages in (datasets, dataset, choose, conversation, start, estimates):
        app.include_router(pages.router)
    add_static_files(app)
    headers = security_headers(https=options.https)
    app.add_middleware(BodyLimitMiddleware, limit_of=_limits(options))
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RequestIdMiddleware, headers=headers)
    add_problems(app, headers=headers, error_page=show_problem)
    describe = describer(app, login_required=access.login_required)
    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _operation(route: APIRoute) -> str:
    return route.name


def _limits(options: WebOptions) -> Callable[[str, str], int]:
    def limit_of(method: str, path: str) -> int:
        if path == webhook.PATH:
            return options.webhook_bytes
        if (method, path) == ("POST", files.PATH):
            return options.upload_bytes + _FORM_OVERHEAD
        if method == "PUT" and path.startswith(storage_links.PREFIX):
            return options.stored_bytes
        return options.body_bytes

    return limit_of


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    await run_in_threadpool(_sweep, app.state.studio.home)
    yield
    await run_in_threadpool(app.state.playground.close)


def _sweep(home: Path) -> None:
    """Remove what uploads and loaded models left behind that were cut short by a killed process."""
    for left in [*home.glob(f"{SCRATCH_PREFIX}*"), *home.glob(f"{playground.SCRATCH_PREFIX}*")]:
        try:
            is_old = time.time() - left.stat().st_mtime > _SCRATCH_AGE_SECONDS
        except FileNotFoundError:  # another studio was faster
            continue
        if is_old:
            shutil.rmtree(left, ignore_errors=True)
