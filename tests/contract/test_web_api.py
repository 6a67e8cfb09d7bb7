"""The API from outside: a dataset's way to a job and back, whose things are whose, and what a worker tells."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from brightrun.contract.event_data import StepData
from brightrun.contract.events import Event, StepEvent
from brightrun.contract.messages import EventBatch
from brightrun.contract.signatures import job_secret, sign
from brightrun.contract.states import JobStatus
from brightrun.database import events
from brightrun.database.tables import TrainingJob
from brightrun.jobs.studio import Studio
from brightrun.web.sign_in import SignedInAccess
from brightrun.web.tokens import issue_token
from tests.unit.web_studio import MASTER, ME, SOMEBODY_ELSE, HandClock, a_client, a_file, a_job, a_studio

API = "/api/training"
QUICK = {"num_epochs": 1, "evaluations": 1, "sample_answers": 1, "sample_tokens": 8}


@pytest.fixture
def trained(tmp_path: Path, tiny_model: Path) -> Iterator[tuple[Studio, TestClient]]:
    """A studio with the tiny model pulled, and a client of it."""
    with a_studio(tmp_path, models=tiny_model.parent) as (studio, _), a_client(studio) as client:
        yield studio, client


def upload(client: TestClient, path: Path, **headers: str) -> dict[str, Any]:
    with path.open("rb") as stream:
        answer = client.post(f"{API}/files", files={"file": (path.name, stream)}, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_from_a_dataset_to_a_job_and_its_end(trained: tuple[Studio, TestClient], sample_dataset: Path) -> None:
    _, client = trained
    file = upload(client, sample_dataset)
    assert file["file_name"] == sample_dataset.name
    assert file["bytes"] == sample_dataset.stat().st_size
    assert file["refused"] is False
    assert upload(client, sample_dataset)["id"] == file["id"]
    audit = client.get(f"{API}/files/{file['id']}/audit").json()
    assert audit["file_name"] == sample_dataset.name
    assert audit["trainable"] == file["answers"]
    shown = client.get(f"{API}/files/{file['id']}/preview", params={"conversation": "2", "model": "tiny-llama"}).json()
    assert shown["model"] == "tiny-llama"
    assert sum(piece["trained"] for piece in shown["pieces"]) == shown["answers"] > 0
    assert 0 < shown["trained_tokens"] < shown["tokens"]

    request = {"training_file_id": file["id"], "base_model": "tiny-llama", "hyperparameters": QUICK}
    plan = client.post(f"{API}/plan", json=request).json()
    assert plan["plan"]["steps"] > 0
    assert plan["fits"] is True
    assert plan["estimated_duration_minutes_low"] < plan["estimated_duration_minutes"]
    assert client.get(f"{API}/jobs").json()["data"] == []

    answer = client.post(f"{API}/start-job", json=request, headers={"idempotency-key": "one"})
    assert answer.status_code == 201
    started = answer.json()
    assert set(started) == {
        "success", "training_job_id", "status", "estimated_duration_minutes", "estimated_cost_usd",
    }  # fmt: skip
    assert (started["success"], started["status"]) == (True, "queued")
    assert started["estimated_duration_minutes"] > 0
    job_id = started["training_job_id"]
    assert answer.headers["location"] == f"{API}/jobs/{job_id}"
    again = client.post(f"{API}/start-job", json=request, headers={"idempotency-key": "one"})
    assert again.json()["training_job_id"] == job_id
    other = client.post(f"{API}/start-job", json=request | {"recipe": "aggressive"}, headers={"idempotency-key": "one"})
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_conflict"

    listed = client.get(f"{API}/jobs").json()
    assert [job["id"] for job in listed["data"]] == [job_id]
    assert listed["data"][0]["total_steps"] == plan["plan"]["steps"]
    assert listed["data"][0]["hyperparameters"]["num_epochs"] == 1
    used = client.delete(f"{API}/files/{file['id']}")
    assert used.status_code == 409
    assert used.json()["error"]["code"] == "dataset_in_use"

    cancelled = client.delete(f"{API}/jobs/{job_id}").json()
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "cancelled_by_user")
    assert cancelled["can_retry"] is True
    assert client.delete(f"{API}/jobs/{job_id}").json()["status"] == "cancelled"
    told = client.get(f"{API}/jobs/{job_id}/events").json()["data"]
    assert [event["status"] for event in told] == ["queued", "cancelled"]
    retried = client.post(f"{API}/jobs/{job_id}/retry")
    assert retried.status_code == 201
    assert retried.json()["retry_of"] == job_id
    assert retried.json()["compute"] == cancelled["compute"]
    longer = client.post(f"{API}/jobs/{job_id}/retry", json={"compute": {"max_duration_hours": 2}}).json()
    assert longer["compute"] == cancelled["compute"] | {"max_duration_hours": 2}
    assert client.get(f"{API}/jobs", params={"status": "cancelled"}).json()["data"][0]["id"] == job_id


def test_what_cannot_be_started_says_why(trained: tuple[Studio, TestClient], sample_dataset: Path) -> None:
    _, client = trained
    file = upload(client, sample_dataset)
    request = {"training_file_id": file["id"], "base_model": "tiny-llama", "hyperparameters": QUICK}
    refused = {
        "no dataset": (request | {"training_file_id": "none"}, 404, "not_found"),
        "no model": (request | {"base_model": "gpt-9"}, 400, "model_unusable"),
        "not pulled": (request | {"base_model": "llama-3-70b-instruct"}, 400, "model_unusable"),
        "no recipe": (request | {"recipe": "bold"}, 400, "invalid_hyperparameter"),
        "no setting": (request | {"hyperparameters": {"lr": 1}}, 400, "invalid_hyperparameter"),
        "bad value": (request | {"hyperparameters": {"r": "many"}}, 400, "invalid_hyperparameter"),
        "unknown layer": (request | {"hyperparameters": {"target_modules": ["qproj"]}}, 400, "invalid_hyperparameter"),
        "layer twice": (
            request | {"hyperparameters": {"target_modules": ["q_proj"] * 2}},
            400,
            "invalid_hyperparameter",
        ),
        "no provider": (request | {"compute": {"provider": "moon"}}, 400, "invalid_input"),
    }
    for why, (body, status, code) in refused.items():
        for route in ("plan", "start-job"):
            if (why, route) == ("not pulled", "plan"):
                continue  # shapes and tokenizer are enough for a plan
            answer = client.post(f"{API}/{route}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), (why, route)
            assert answer.json()["error"]["hint"], why
            if "layer" in why:
                assert answer.json()["error"]["param"] == "hyperparameters.target_modules"
    assert client.get(f"{API}/jobs").json()["data"] == []


def test_a_dataset_comes_and_goes(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    talk = [{"role": "user", "content": "I am tired."}, {"role": "assistant", "content": "What would help tonight?"}]
    path.write_text("\n".join(json.dumps({"messages": talk}) for _ in range(3)), encoding="utf-8")
    file = upload(client, path)
    assert client.get(f"{API}/files/{file['id']}").json() == file
    shown = client.get(f"{API}/files/{file['id']}/preview").json()
    assert "What would help tonight?" in "".join(piece["text"] for piece in shown["pieces"] if piece["trained"])
    missing = client.get(f"{API}/files/{file['id']}/preview", params={"conversation": "99"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "invalid_training_file")
    unknown = client.get(f"{API}/files/{file['id']}/preview", params={"model": "gpt-9"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "model_unusable")
    assert client.delete(f"{API}/files/{file['id']}").json() == {
        "object": "training.file", "id": file["id"], "deleted": True,
    }  # fmt: skip
    assert client.get(f"{API}/files/{file['id']}").status_code == 404
    assert client.delete(f"{API}/files/{file['id']}").status_code == 404
    assert list(studio.storage.list("")) == []


def test_a_dataset_keeps_how_it_is_read(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    """The same bytes with other choices are another dataset; deleting one leaves the other's bytes."""
    talks = [
        {"messages": [{"role": "user", "content": f"I am {word}."}, {"role": "assistant", "content": f"Rest, {word}."}]}
        for word in ("tired", "late", "ill", "cold", "lost")
    ]
    talks.append({"messages": [{"role": "user", "content": "Hello?"}]})
    path = tmp_path / "talks.jsonl"
    path.write_text("\n".join(map(json.dumps, talks)), encoding="utf-8")

    def send(**query: Any) -> Any:
        with path.open("rb") as stream:
            return client.post(f"{API}/files", files={"file": (path.name, stream)}, params=query)

    refused = send().json()["error"]
    assert refused["details"]["choices"] == {"unreadable": "leave_out"}
    assert "column" in send(column="a=b").json()["error"]["message"]
    assert send(unreadable="perhaps").status_code == 422
    left_out = send(unreadable="leave_out").json()
    some = send(unreadable="leave_out", choose=["1-3"]).json()
    assert left_out["id"] != some["id"]
    assert send(choose=["1-3"], unreadable="leave_out").json()["id"] == some["id"]
    audits = [client.get(f"{API}/files/{file['id']}/audit").json() for file in (left_out, some)]
    assert [audit["conversations"] for audit in audits] == [5, 3]
    assert client.delete(f"{API}/files/{left_out['id']}").status_code == 200
    shown = client.get(f"{API}/files/{some['id']}/preview", params={"conversation": "3"}).json()
    assert "Rest, ill." in "".join(piece["text"] for piece in shown["pieces"])


@pytest.mark.parametrize("kind", ["files", "jobs"])
def test_lists_are_walked_page_by_page(studio: Studio, client: TestClient, kind: str) -> None:
    clock = studio.clock
    assert isinstance(clock, HandClock)
    made = []
    for number in range(7):
        clock.forward(seconds=number % 3)  # some at the same moment
        made.append(a_file(studio, name=f"{number}.json").id if kind == "files" else a_job(studio).id)
    a_job(studio, owner_id=SOMEBODY_ELSE)
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get(f"{API}/{kind}", params={"limit": "3", **after}).json()
        assert page["object"] == "list"
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        assert len(page["data"]) == 3
        after = {"after": page["data"][-1]["id"]}
    assert sorted(seen) == sorted(made)
    assert seen == [each["id"] for each in client.get(f"{API}/{kind}").json()["data"]]


def test_what_belongs_to_somebody_else_is_not_found(studio: Studio) -> None:
    job, file = a_job(studio, owner_id=ME), a_file(studio, owner_id=ME)
    access = SignedInAccess(studio.database, SecretStr("for cookies"), clock=studio.clock)
    with studio.database.session() as session:
        mine, theirs = (
            issue_token(session, owner_id=owner, name="n", now=studio.clock()).secret for owner in (ME, SOMEBODY_ELSE)
        )
    routes = [
        ("GET", f"jobs/{job.id}"), ("DELETE", f"jobs/{job.id}"), ("POST", f"jobs/{job.id}/retry"),
        ("GET", f"jobs/{job.id}/metrics"), ("GET", f"jobs/{job.id}/events"), ("GET", f"jobs/{job.id}/events/stream"),
        ("GET", f"jobs/{job.id}/artifacts"), ("GET", f"jobs/{job.id}/artifacts/a"),
        ("GET", f"jobs/{job.id}/adapter.zip"), ("GET", f"files/{file.id}"), ("DELETE", f"files/{file.id}"),
        ("GET", f"files/{file.id}/audit"), ("GET", f"files/{file.id}/preview"), ("GET", f"jobs?after={job.id}"),
        ("GET", f"files?after={file.id}"), ("GET", f"jobs/{job.id}/metrics.csv"),
        ("GET", f"jobs/{job.id}/chat"), ("POST", f"jobs/{job.id}/chat"),
        ("GET", f"files/{file.id}/problems"), ("GET", f"files/{file.id}/conversations"),
        ("POST", f"files/{file.id}/choose"), ("POST", f"files/{file.id}/read-again"),
    ]  # fmt: skip
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", f"jobs/{job.id}/chat"): {"prompt": "Hello"},
        ("POST", f"files/{file.id}/choose"): {"choose": ["1"]},
        ("POST", f"files/{file.id}/read-again"): {"merge_turns": True},
    }
    with a_client(studio, access) as client:
        described = client.get("/api/openapi.json").json()["paths"]
        for method, path in routes:
            body = bodies.get((method, path))
            stranger = client.request(method, f"{API}/{path}", headers={"authorization": f"Bearer {theirs}"}, json=body)
            unknown = client.request(
                method, f"{API}/{path}".replace(job.id, "x" * 36).replace(file.id, "x" * 36),
                headers={"authorization": f"Bearer {mine}"}, json=body,
            )  # fmt: skip
            assert (stranger.status_code, unknown.status_code) == (404, 404), path
            said, known = stranger.json()["error"], unknown.json()["error"]
            assert said["message"].replace(job.id, "").replace(file.id, "") == known["message"].replace("x" * 36, "")
        request = {"training_file_id": file.id}
        for route in ("plan", "start-job"):
            other = client.post(f"{API}/{route}", json=request, headers={"authorization": f"Bearer {theirs}"})
            assert other.status_code in {400, 404}
        assert client.get(f"{API}/jobs", headers={"authorization": f"Bearer {theirs}"}).json()["data"] == []
        assert client.get(f"{API}/jobs/{job.id}", headers={"authorization": f"Bearer {mine}"}).status_code == 200
    with_an_id = sum(
        len(operations) for path, operations in described.items() if "{job_id}" in path or "{file_id}" in path
    )
    assert with_an_id == len(routes) - 2  # a route that is added is tested here too
    with studio.database.reading() as session:
        kept = session.get(TrainingJob, job.id)
    assert kept is not None
    assert kept.status is JobStatus.TRAINING


def test_what_the_studio_keeps_for_itself_is_not_told(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, idempotency_key="k", idempotency_hash="h", claim_token="t", claim_owner="o", machine_id="p")
    told = client.get(f"{API}/jobs/{job.id}").json()
    hidden = {"owner_id", "idempotency_key", "idempotency_hash", "claim_token", "claim_owner", "next_check_at", "spec"}
    assert not hidden & set(told)


def test_the_catalogue(trained: tuple[Studio, TestClient]) -> None:
    _, client = trained
    models = {model["id"]: model for model in client.get(f"{API}/models").json()["data"]}
    assert models["tiny-llama"]["pulled"] is True
    assert models["smollm2-135m-instruct"]["pulled"] is False
    recipes = [recipe["id"] for recipe in client.get(f"{API}/recipes").json()["data"]]
    assert {"balanced", "conservative", "aggressive", "quickstart"} <= set(recipes)
    gpus = client.get(f"{API}/gpus").json()["data"]
    assert all(isinstance(gpu["price_usd_per_hour"], float | None) for gpu in gpus)
    assert any(gpu["price_usd_per_hour"] for gpu in gpus)


# What a worker tells.


def steps(first: int, last: int, *, studio: Studio) -> list[Event]:
    return [
        StepEvent(
            sequence=number, attempt=1, timestamp=studio.clock(), status=JobStatus.TRAINING, step=number,
            total_steps=100, data=StepData(loss=3 - number / 100, learning_rate=1e-4),
        )
        for number in range(first, last + 1)
    ]  # fmt: skip


def push(
    client: TestClient,
    studio: Studio,
    job_id: str,
    told: list[Event],
    *,
    master: str = MASTER,
    signer: str | None = None,
    late: timedelta = timedelta(0),
) -> Any:
    body = EventBatch.telling(job_id, 1, "m", told).model_dump_json(exclude_none=True).encode()
    headers = sign(job_secret(master, signer or job_id), "msg", studio.clock() - late, body)
    return client.post(f"{API}/webhook", content=body, headers=headers | {"content-type": "application/json"})


def test_a_worker_tells_in_any_order_and_any_number_of_times(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    told = steps(1, 60, studio=studio)
    batches = [told[at : at + 10] for at in range(0, 60, 10)] * 3
    random.Random(4).shuffle(batches)
    answers = [push(client, studio, job.id, batch) for batch in batches]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].json() == {"continue": True, "acknowledged": 60, "reason": None, "export_on_stop": False}
    shown = client.get(f"{API}/jobs/{job.id}").json()
    assert (shown["current_step"], shown["total_steps"]) == (60, 100)
    listed = client.get(f"{API}/jobs/{job.id}/events", params={"limit": 200}).json()["data"]
    assert sorted(event["sequence"] for event in listed) == list(range(1, 61))
    curve = client.get(f"{API}/jobs/{job.id}/metrics", params={"points": 10}).json()
    assert len(curve["train"]) <= 10
    assert (curve["train"][0]["step"], curve["train"][-1]["step"]) == (1, 60)
    assert curve["validation"] == []


def test_a_cancelled_jobs_worker_is_told_to_stop_and_changes_nothing(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    client.delete(f"{API}/jobs/{job.id}")
    before = client.get(f"{API}/jobs/{job.id}").json()
    answer = push(client, studio, job.id, steps(1, 3, studio=studio))
    assert answer.json() == {
        "continue": False, "acknowledged": 3, "reason": "cancelled_by_user", "export_on_stop": False,
    }  # fmt: skip
    assert client.get(f"{API}/jobs/{job.id}").json() == before


def test_only_the_jobs_own_secret_speaks_for_it(studio: Studio, client: TestClient) -> None:
    job, other = a_job(studio), a_job(studio)
    told = steps(1, 2, studio=studio)
    refused = [
        push(client, studio, job.id, told, master="a-wrong-master"),
        push(client, studio, job.id, told, signer=other.id),
        push(client, studio, job.id, told, late=timedelta(minutes=6)),
        push(client, studio, job.id, told, late=timedelta(minutes=-6)),
        push(client, studio, "no-such-job", told, signer=job.id),
    ]
    for answer in refused:
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "authentication_error"
    unsigned = client.post(f"{API}/webhook", json={"job_id": job.id})
    assert unsigned.status_code == 401
    with studio.database.reading() as session:
        assert events.list_after(session, job.id) == []
    assert push(client, studio, "no-such-job", told).status_code == 404


def test_a_signed_body_that_is_no_batch_is_refused_by_field(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    body = json.dumps({"job_id": job.id, "attempt": 0, "worker": "m"}).encode()
    headers = sign(job_secret(MASTER, job.id), "msg", studio.clock(), body)
    answer = client.post(f"{API}/webhook", content=body, headers=headers)
    assert answer.status_code == 422
    assert {each["param"] for each in answer.json()["error"]["details"]["errors"]} >= {"attempt", "sequence"}


def test_a_worker_needs_no_login_and_no_host(studio: Studio) -> None:
    job = a_job(studio)
    access = SignedInAccess(studio.database, SecretStr("for cookies"), clock=studio.clock, hosts={"studio.example"})
    with a_client(studio, access, client=("10.0.0.9", 400)) as client:
        assert push(client, studio, job.id, steps(1, 2, studio=studio)).status_code == 200


def test_health_says_when_the_database_is_behind(studio: Studio) -> None:
    studio.database.migrate("base")
    with a_client(studio) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 503
    assert answer.json()["database"] == "to_migrate"


def test_a_plan_for_a_gpu_elsewhere_and_its_caps(trained: tuple[Studio, TestClient], sample_dataset: Path) -> None:
    _, client = trained
    file = upload(client, sample_dataset)
    request = {"training_file_id": file["id"], "base_model": "llama-3-70b-instruct"}
    found = client.post(f"{API}/plan", json=request | {"compute": {"gpu_type": "h100-sxm", "max_cost_usd": 90}}).json()
    plan = found["plan"]
    assert (plan["gpu"], plan["device"], found["fits"], found["refused"]) == ("h100-sxm", "cuda", True, False)
    assert list(plan["phases"]) == [
        "provisioning", "preprocessing", "model_loaded", "training", "evaluating", "uploading",
    ]  # fmt: skip
    assert found["estimated_cost_usd"] == plan["cost"]["expected_usd"] > 0
    assert found["estimated_cost_usd_low"] < found["estimated_cost_usd"] < found["estimated_cost_usd_high"]
    assert found["gpus"][0]["fits"] is True
    assert [offer["fits"] for offer in found["gpus"]].count(False) >= 1
    small = client.post(f"{API}/plan", json=request | {"compute": {"gpu_type": "rtx-4090"}}).json()
    assert (small["fits"], small["refused"]) == (False, True)
    assert small["plan"]["fixes"][0]["compute"]["gpu_type"] == found["gpus"][0]["gpu"]
    capped = client.post(
        f"{API}/plan", json=request | {"compute": {"gpu_type": "h100-sxm", "max_cost_usd": 0.01}}
    ).json()
    assert capped["refused"] is True
    limited = {**request, "base_model": "tiny-llama", "compute": {"max_duration_hours": 0.0001}}
    refused = client.post(f"{API}/start-job", json=limited)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "plan_refused")
    assert "Raise the limit" in refused.json()["error"]["hint"]
    unknown = client.post(f"{API}/plan", json=request | {"compute": {"gpu_type": "h900"}})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "invalid_input")
