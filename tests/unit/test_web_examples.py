"""Every JSON body in the API's description has an example, and every example is allowed by the schema beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from brightrun.contract.messages import EventBatch
from brightrun.jobs.submit import JobRequest
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app
from brightrun.web.examples import REQUESTS, sample
from tests.unit.web_studio import ME, a_studio

jsonschema = pytest.importorskip("jsonschema_rs")
JSON = "application/json"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with a_studio(tmp_path_factory.mktemp("studio")) as (studio, _):
        return create_app(studio, LoopbackAccess(ME)).openapi()


def bodies(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            for status, body in {"request": operation.get("requestBody", {}), **operation["responses"]}.items():
                if JSON in body.get("content", {}):
                    yield f"{method} {path} {status}", body["content"][JSON]


def test_every_body_has_an_example_that_its_schema_allows(description: dict[str, Any]) -> None:
    seen = 0
    for place, content in bodies(description):
        schema = {**content["schema"], "components": description["components"]}
        wrong = [each.message for each in jsonschema.Draft202012Validator(schema).iter_errors(content["example"])]
        assert wrong == [], f"{place}: {content['example']}"
        seen += 1
    assert seen > 150


def test_what_is_refused_shows_the_error_of_its_status(description: dict[str, Any]) -> None:
    shown = {place.split()[-1]: content["example"]["error"]["type"] for place, content in bodies(description)
             if place.split()[-1][0] in "45" and "health" not in place}  # fmt: skip
    assert shown["401"] == "authentication_error"
    assert shown["404"] == "not_found_error"
    assert shown["409"] == "conflict_error"
    assert shown["422"] == "invalid_request_error"
    assert shown["503"] == "server_error"


def test_the_requests_written_by_hand_are_used_and_can_be_read(description: dict[str, Any]) -> None:
    described = {(method, path) for path, methods in description["paths"].items() for method in methods}
    assert set(REQUESTS) <= described
    JobRequest.model_validate(REQUESTS["post", "/api/training/start-job"])
    EventBatch.model_validate(REQUESTS["post", "/api/training/webhook"])
    shown = description["paths"]["/api/training/start-job"]["post"]["requestBody"]["content"][JSON]["example"]
    assert shown == REQUESTS["post", "/api/training/start-job"]


def test_a_running_jobs_example_has_no_end(description: dict[str, Any]) -> None:
    job = sample({"$ref": "#/components/schemas/JobView"}, description["components"]["schemas"])
    assert job["status"] == "training"
    assert [job[name] for name in ("reason", "completed_at", "actual_cost_usd")] == [None] * 3
    assert job["current_step"] < job["total_steps"]
