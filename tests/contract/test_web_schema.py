"""The API against its own description: requests made up by schemathesis, seeded, find no 5xx and nothing undeclared."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from pydantic import SecretStr

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.states import JobStatus
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.studio import Studio
from brightrun.web.app import create_app
from brightrun.web.options import WebOptions
from brightrun.web.sign_in import SignedInAccess
from brightrun.web.tokens import issue_token
from tests.unit.web_studio import ME, a_job, a_studio, tell

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 30
EXAMPLES_OF_PLANS = 20
SETTINGS = list(Hyperparameters.model_fields)
ODD: list[Any] = [
    0, 1, -1, 8, 0.5, 1e308, 2**70, True, None, "auto", "", "nan", "1e999", "\ud800", "\x00", [], ["q_proj"], {},
    {"a": 1},
]  # fmt: skip
WITHOUT_FIELDS = {
    "/api/health", "/api/session", "/api/training/models", "/api/training/recipes", "/api/training/gpus",
    "/api/training/webhook", "/api/training/files/sample",
}  # fmt: skip
CHECKED_STATUSES = {200, 201, 204, 400, 401, 403, 404, 409, 422}


@pytest.fixture
def studio(tmp_path: Path, tiny_model: Path) -> Iterator[Studio]:
    with a_studio(tmp_path, models=tiny_model.parent) as (studio, _):
        yield studio


def a_dataset(studio: Studio, folder: Path) -> str:
    dice, words = (
        random.Random(8),
        [
            "tired",
            "father",
            "nurse",
            "evening",
            "letter",
            "garden",
            "sister",
            "hip",
            "quiet",
            "call",
            "money",
            "step",
            "hope",
        ],
    )
    path = folder / "talk.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(12):
            said = [" ".join(dice.choices(words, k=30)) for _ in range(2)]
            talk = [{"role": "user", "content": said[0]}, {"role": "assistant", "content": said[1]}]
            stream.write(json.dumps({"messages": talk}) + "\n")
    return add_dataset(studio, owner_id=ME, file_name=path.name, source=path).id


def known_things(studio: Studio, folder: Path) -> dict[str, list[str]]:
    file_id = a_dataset(studio, folder)
    jobs = [a_job(studio, status=status, file_id=file_id) for status in JobStatus]  # so it cannot be deleted
    tell(studio, jobs[0], "an event")
    return {"job_id": [job.id for job in jobs], "file_id": [file_id]}


def bearer(studio: Studio) -> dict[str, str]:
    with studio.database.session() as session:
        secret = issue_token(session, owner_id=ME, name="n", now=studio.clock()).secret
    return {"authorization": f"Bearer {secret}"}


def an_app(studio: Studio) -> FastAPI:
    access = SignedInAccess(studio.database, SecretStr("for cookies"), clock=studio.clock)
    return create_app(studio, access, WebOptions(stream_seconds=0))  # a stream of a running job would never end


@pytest.mark.slow
def test_no_made_up_request_breaks_the_studio(studio: Studio, tmp_path: Path) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    app, known, headers = an_app(studio), known_things(studio, tmp_path), bearer(studio)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    asked = [
        not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
        checks.response_headers_conformance, checks.response_schema_conformance,
    ]  # fmt: skip
    seen: Counter[int] = Counter()
    nothing_to_spoil: set[str] = set()
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) >= 25
    for operation in operations:
        plans = operation.path in {"/api/training/plan", "/api/training/start-job"}
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=EXAMPLES_OF_PLANS if plans else EXAMPLES, derandomize=True, database=None, deadline=None,
                phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode), dice=st.randoms(use_true_random=False))
            def ask(case: Any, dice: Any) -> None:
                _use_known_things(case, known, dice)
                answer = case.call(headers=headers)
                seen[answer.status_code] += 1
                case.validate_response(answer, checks=asked, headers=headers)
                assert "x-request-id" in answer.headers
                if answer.status_code >= 400 and case.path != "/api/health":
                    assert set(answer.json()["error"]) >= {"message", "type", "param", "code"}

            try:
                ask()
            except Unsatisfiable:
                nothing_to_spoil.add(operation.path)
    assert nothing_to_spoil <= WITHOUT_FIELDS
    assert set(seen) >= CHECKED_STATUSES - {401}, seen
    assert not [status for status in seen if status >= 500]
    print(f"{sum(seen.values())} requests: {dict(sorted(seen.items()))}")


def _use_known_things(case: Any, known: dict[str, list[str]], dice: Any) -> None:
    """Half of the time a thing that is there, so that more than 404 is seen."""
    for name, ids in known.items():
        if name in (case.path_parameters or {}) and dice.random() < 0.5:
            case.path_parameters[name] = dice.choice(ids)
    if isinstance(case.body, dict) and "training_file_id" in case.body and dice.random() < 0.7:
        case.body["training_file_id"] = known["file_id"][0]
        case.body["base_model"] = "tiny-llama"
        case.body["recipe"] = dice.choice(["balanced", "quickstart", "none"])
        if dice.random() < 0.7:
            case.body.pop("compute", None)
        if dice.random() < 0.8:
            case.body["hyperparameters"] = {dice.choice(SETTINGS): dice.choice(ODD) for _ in range(dice.randint(0, 2))}
