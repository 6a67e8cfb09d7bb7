"""The description of the API: what FastAPI finds, and what it cannot see (who may enter, bodies read by hand)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from brightrun.contract.messages import EventBatch
from brightrun.web.examples import add_examples
from brightrun.web.sign_in import SESSION_COOKIE

_READ_BY_HAND: tuple[type[BaseModel], ...] = (EventBatch,)
_LOGIN = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token: brightrun token create."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
}


def describer(app: FastAPI, *, login_required: bool) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is to be."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, login_required=login_required)
        return app.openapi_schema

    return describe


def _describe(app: FastAPI, *, login_required: bool) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = schema.setdefault("components", {})
    shapes = components.setdefault("schemas", {})
    _, more = models_json_schema(
        [(model, "validation") for model in _READ_BY_HAND], ref_template="#/components/schemas/{model}"
    )
    for name, shape in more["$defs"].items():
        shapes.setdefault(name, shape)
    add_examples(schema)
    if login_required:
        components["securitySchemes"] = _LOGIN
        schema["security"] = [{name: []} for name in _LOGIN]
    return schema
