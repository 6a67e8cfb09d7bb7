"""The budget over HTTP, a cancel that keeps an adapter, and the partial adapter's zip."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.states import JobStatus
from brightrun.database import artifacts, attempts, budgets, jobs
from brightrun.database.tables import ModelArtifact, TrainingJob
from brightrun.jobs.studio import Studio
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_job

BUDGET = "/api/training/budget"
JOBS = "/api/training/jobs"


def change(studio: Studio, job: TrainingJob, **values: Any) -> None:
    with studio.database.session() as session:
        jobs.change_if(session, job.id, expected=list(JobStatus), **values)


def running(studio: Studio, **lease: Any) -> TrainingJob:
    """A job on a machine that has spoken."""
    job = a_job(studio)
    values = {"machine_id": "m1", "last_seen_at": studio.clock(), "launched_at": studio.clock(), **lease}
    with studio.database.session() as session:
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        attempts.save(session, attempt.id, **values)
    return job


def test_a_budget_is_shown_set_and_taken_away(studio: Studio, client: TestClient) -> None:
    first = client.get(BUDGET).json()
    assert (first["month"], first["monthly_budget_usd"], first["remaining_usd"], first["is_default"]) == (
        f"{studio.clock():%Y-%m}", None, None, True,
    )  # fmt: skip
    set_to = client.put(BUDGET, json={"monthly_budget_usd": 120.5, "default_job_cap_usd": 20}).json()
    assert (set_to["monthly_budget_usd"], set_to["default_job_cap_usd"], set_to["remaining_usd"]) == (
        120.5,
        20.0,
        120.5,
    )
    assert client.get(BUDGET).json() == set_to
    terminated = client.put(BUDGET, json={"monthly_budget_usd": None, "default_job_cap_usd": None}).json()
    assert (terminated["monthly_budget_usd"], terminated["default_job_cap_usd"]) == (None, None)


def test_what_runs_is_in_the_sums(studio: Studio, client: TestClient) -> None:
    since = studio.clock() - timedelta(hours=2)
    job = running(studio, launched_at=since, price_usd_per_hour=Decimal("2.50"))
    change(studio, job, job_cap_usd=Decimal(9), estimated_cost_usd=Decimal(6))
    client.put(BUDGET, json={"monthly_budget_usd": 10, "default_job_cap_usd": None})
    shown = client.get(BUDGET).json()
    assert (shown["spent_usd"], shown["reserved_usd"], shown["remaining_usd"]) == (5.0, 4.0, 1.0)
    assert (shown["spent_percent"], shown["usd_per_hour"], shown["forecast_usd"]) == (50.0, 2.5, 6.0)
    assert client.get(f"{JOBS}/{job.id}").json()["job_cap_usd"] == 9.0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"monthly_budget_usd": 5},
        {"monthly_budget_usd": -1, "default_job_cap_usd": None},
        {"monthly_budget_usd": None, "default_job_cap_usd": 0},
        {"monthly_budget_usd": "much", "default_job_cap_usd": None},
        {"monthly_budget_usd": 1e9, "default_job_cap_usd": None},
        {"monthly_budget_usd": 1.00001, "default_job_cap_usd": None},
        {"monthly_budget_usd": 5, "default_job_cap_usd": None, "currency": "EUR"},
    ],
)
def test_a_budget_that_is_none_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.put(BUDGET, json=body).status_code == 422
    assert client.get(BUDGET).json()["monthly_budget_usd"] is None


def test_a_budget_is_its_owners(studio: Studio, client: TestClient) -> None:
    with studio.database.session() as session:
        budgets.save(
            session, SOMEBODY_ELSE, monthly_budget_usd=Decimal(5), default_job_cap_usd=None, now=studio.clock()
        )
    assert client.get(BUDGET).json()["monthly_budget_usd"] is None
    client.put(BUDGET, json={"monthly_budget_usd": 7, "default_job_cap_usd": None})
    with studio.database.reading() as session:
        theirs, mine = budgets.get(session, SOMEBODY_ELSE), budgets.get(session, ME)
    assert (theirs.monthly_budget_usd, mine.monthly_budget_usd) == (Decimal(5), Decimal(7))  # type: ignore[union-attr]


def test_a_cancel_says_until_when_it_waits_for_the_adapter(studio: Studio, client: TestClient) -> None:
    kept, plain, early = running(studio), running(studio), a_job(studio, status=JobStatus.QUEUED, attempt=0)
    asked = {"export_on_stop": "true"}
    until = client.delete(f"{JOBS}/{kept.id}", params=asked).json()["export_until"]
    assert until == (studio.clock() + studio.limits.export_on_stop).isoformat().replace("+00:00", "Z")
    assert client.delete(f"{JOBS}/{plain.id}").json()["export_until"] is None
    assert client.delete(f"{JOBS}/{early.id}", params=asked).json()["export_until"] is None


def test_an_unverified_adapter_is_named_so(studio: Studio, client: TestClient) -> None:
    job = running(studio)
    address = f"{JOBS}/{job.id}/adapter.zip"
    store(studio, job)
    change(studio, job, status=JobStatus.CANCELLED, export_until=studio.clock())
    waiting = client.get(address)
    assert waiting.status_code == 409
    assert "being downloaded" in waiting.json()["error"]["hint"]
    assert client.get(f"{JOBS}/{job.id}").json()["adapter"] is None

    change(studio, job, export_until=None, lora_artifact_path=f"lora_adapters/{job.id}/")
    reply = client.get(address)
    assert reply.status_code == 200
    assert "-unproven.zip" in reply.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.namelist() == ["A-job-first-try-unproven/adapter_model.safetensors"]
    assert client.get(f"{JOBS}/{job.id}").json()["adapter"] == "partial"
    (listed,) = client.get(f"{JOBS}/{job.id}/artifacts").json()["data"]
    assert listed["artifact_type"] == "partial_adapter"


def test_a_proven_one_is_not(studio: Studio, client: TestClient) -> None:
    job = running(studio)
    store(studio, job)
    change(studio, job, status=JobStatus.COMPLETED, lora_artifact_path=f"lora_adapters/{job.id}/")
    assert "partial" not in client.get(f"{JOBS}/{job.id}/adapter.zip").headers["content-disposition"]
    assert client.get(f"{JOBS}/{job.id}").json()["adapter"] == "verified"


def test_without_an_adapter_the_fix_is_told(studio: Studio, client: TestClient) -> None:
    job = running(studio)
    change(studio, job, status=JobStatus.CANCELLED)
    said = client.get(f"{JOBS}/{job.id}/adapter.zip").json()["error"]
    assert "export_on_stop" in said["hint"]


def store(studio: Studio, job: TrainingJob) -> None:
    content, name = b"weights", "adapter/adapter_model.safetensors"
    key = f"lora_adapters/{job.id}/adapter_model.safetensors"
    studio.storage.put(key, content)
    row = ModelArtifact(
        job_id=job.id, owner_id=job.owner_id, attempt=1, artifact_type="partial_adapter", name=name, storage_path=key,
        file_size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), base_model="tiny-llama",
        created_at=studio.clock(),
    )  # fmt: skip
    with studio.database.session() as session:
        artifacts.save(session, row)
