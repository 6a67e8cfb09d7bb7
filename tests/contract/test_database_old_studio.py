"""A studio of version 0.1 (tests/data/studio_0_1), migrated: its jobs, curves, files and money are still there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import Manifest
from brightrun.contract.run_folder import RunFolder
from brightrun.database.database import Database
from brightrun.jobs.studio import Studio
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app
from brightrun.web.sign_in import SignedInAccess
from tests.contract.postgres import (  # noqa: F401
    give_postgres_server,
    give_postgres_url,
)
from tests.studio_world import OWNER, World

OLD = Path(__file__).parents[1] / "data" / "studio_0_1"
STATUSES = {
    "done": ("completed", None, 12, "0.225"),
    "stopped at its cap": ("failed", "budget_reached", 2, "0.09"),
    "fails": ("failed", "out_of_memory", 2, "0.105"),
    "cancelled": ("cancelled", "cancelled_by_user", 4, "0.12"),
    "waits": ("queued", None, None, None),
}
BASE = "http://127.0.0.1:8700"
SECRET = "not the secret of any studio"


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The old studio after the migration, with simulated machines to go on with."""
    shutil.copytree(OLD / "jobs", tmp_path / "jobs")
    if request.param == "sqlite":
        shutil.copy(OLD / "studio.db", tmp_path / "studio.db")
        url = f"sqlite:///{tmp_path / 'studio.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
        _fill(url)
    world = World(tmp_path, database_url=url)
    world.storage = LocalFolder(  # type: ignore[assignment]
        shutil.copytree(OLD / "storage", tmp_path / "storage"),
        LinkSigner(SECRET, BASE),
        clock=world.clock,
    )
    # Version 0.1 called simulated machines "pretend"; no setting ever named them.
    world.studio = _with_provider(world.reborn(), world.simulated)
    yield world
    world.database.close()


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(
        create_app(world.studio, LoopbackAccess(OWNER)), base_url=BASE, client=("127.0.0.1", 50000)
    ) as client:
        yield client


def _with_provider(studio: Studio, provider: SimulatedCompute) -> Studio:
    studio.computes["pretend"] = provider
    studio.transports["pretend"] = provider.transport()
    return studio


def _fill(url: str) -> None:
    """The rows of version 0.1 in a PostgreSQL at its revision."""
    database = Database(url)
    database.migrate("0002")
    rows: dict[str, list[dict[str, Any]]] = json.loads((OLD / "rows.json").read_text(encoding="utf-8"))
    found = sa.MetaData(schema="train")
    with database.engine.begin() as connection:
        found.reflect(connection)
        for table in found.sorted_tables:
            for row in rows.get(table.name, []):
                connection.execute(table.insert().values({key: _value(table.c[key], row[key]) for key in row}))
        for name in ("training_events", "training_metrics_history"):
            query = f"SELECT setval(pg_get_serial_sequence('train.{name}', 'id'), max(id)) FROM train.{name}"  # noqa: S608 our own names
            connection.execute(sa.text(query))
    database.close()


def _value(column: sa.Column[Any], value: Any) -> Any:
    """SQLite keeps money in ten-thousandths, JSON as text, and times without their zone."""
    if value is None:
        return None
    if isinstance(column.type, sa.Numeric) and not isinstance(column.type, sa.Float):
        return Decimal(value).scaleb(-4)
    if isinstance(column.type, sa.JSON):
        return json.loads(value)
    if isinstance(column.type, sa.DateTime):
        return sa.cast(f"{value}+00:00", sa.DateTime(timezone=True))
    return value


def jobs_by_name(client: TestClient) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in client.get("/api/training/jobs").json()["data"]}


def test_every_job_is_there_with_its_status_steps_and_cost(client: TestClient) -> None:
    jobs = jobs_by_name(client)
    assert set(jobs) == set(STATUSES)
    for name, (status, reason, step, cost) in STATUSES.items():
        job = jobs[name]
        assert (job["status"], job["reason"], job["current_step"]) == (status, reason, step)
        assert (None if job["actual_cost_usd"] is None else Decimal(str(job["actual_cost_usd"]))) == (
            None if cost is None else Decimal(cost)
        )
    assert Decimal(str(jobs["stopped at its cap"]["job_cap_usd"])) == Decimal("0.08")
    assert jobs["done"]["hyperparameters"]["validation_fraction"] == 0.1
    assert jobs["done"]["adapter"] == "verified"
    assert jobs["cancelled"]["adapter"] == "partial"
    assert jobs["done"]["runpod_pod_id"] == jobs["done"]["machine_id"] != None  # noqa: E711 a chain


def test_the_curves_are_there(client: TestClient) -> None:
    job = jobs_by_name(client)["done"]
    curves = client.get(f"/api/training/jobs/{job['id']}/metrics").json()
    assert [point["step"] for point in curves["train"]] == list(range(1, 13))
    assert len(curves["validation"]) == 4
    assert curves["validation"][0]["loss"] == 3.05
    assert curves["train"][-1]["loss"] == pytest.approx(1.0995741367)


def test_events_have_current_names(client: TestClient) -> None:
    job = jobs_by_name(client)["done"]
    events = client.get(f"/api/training/jobs/{job['id']}/events", params={"limit": 100}).json()["data"]
    assert sum(event["kind"] == "step" for event in events) == 12
    measured = [event["data"] for event in events if event["kind"] == "evaluation"]
    assert len(measured) == 5
    assert all(data["trained_tokens"] > 0 for data in measured)
    text = json.dumps(events)
    assert "learnt" not in text
    assert "held_out" not in text


def test_files_are_downloaded_as_they_were_delivered(client: TestClient) -> None:
    job = jobs_by_name(client)["done"]
    listed = {item["name"]: item for item in client.get(f"/api/training/jobs/{job['id']}/artifacts").json()["data"]}
    weights = client.get(listed["adapter/adapter_model.safetensors"]["url"], follow_redirects=True).content
    assert hashlib.sha256(weights).hexdigest() == listed["adapter/adapter_model.safetensors"]["sha256"]
    stored = next((OLD / "storage" / "lora_adapters" / job["id"]).glob("manifest.json"))
    manifest = Manifest.model_validate_json(stored.read_bytes())
    recorded = {file.name: file.sha256 for file in manifest.files}
    assert recorded["adapter_model.safetensors"] == hashlib.sha256(weights).hexdigest()
    assert manifest.adapter_check["adapter_on_differs"] is True
    assert client.get(f"/api/training/jobs/{job['id']}/adapter.zip").status_code == 200


def test_the_pages_of_old_jobs_and_datasets_are_drawn(client: TestClient) -> None:
    jobs = jobs_by_name(client)
    for name, job in jobs.items():
        assert name in client.get(f"/jobs/{job['id']}").text
    shown = client.get(f"/jobs/{jobs['done']['id']}/comparison")
    assert shown.status_code == 200
    dataset = client.get(f"/datasets/{jobs['done']['training_file_id']}")
    assert dataset.status_code == 200
    assert "evenings.jsonl" in dataset.text
    assert client.get("/estimates").status_code == 200


def test_the_audit_has_current_names(client: TestClient) -> None:
    file_id = jobs_by_name(client)["done"]["training_file_id"]
    audit = client.get(f"/api/training/files/{file_id}/audit").json()
    assert audit["trained_tokens"] > 0
    assert audit["excluded"] == 0
    assert audit["overlength"] == 0
    assert all("fix" in finding for finding in audit["findings"])


def test_the_budget_and_the_token_are_there(world: World, client: TestClient) -> None:
    budget = client.get("/api/training/budget").json()
    assert Decimal(str(budget["monthly_budget_usd"])) == Decimal("50.25")
    assert Decimal(str(budget["default_job_cap_usd"])) == Decimal("9.5")
    assert Decimal(str(budget["spent_usd"])) == Decimal("0.54")
    secret = (OLD / "token.txt").read_text(encoding="ascii").strip()
    access = SignedInAccess(world.database, SecretStr(SECRET), clock=world.clock)
    with TestClient(create_app(world.studio, access), base_url=BASE) as elsewhere:
        assert elsewhere.get("/api/training/jobs").status_code == 401
        assert elsewhere.get("/api/training/jobs", headers={"authorization": f"Bearer {secret}"}).status_code == 200


def test_the_job_that_waited_goes_on_to_its_end(world: World, client: TestClient) -> None:
    waiting = jobs_by_name(client)["waits"]["id"]
    folder = RunFolder(world.home / "jobs" / waiting)
    assert JobSpec.load(folder.spec).dataset.validation_path == "data/held_out.jsonl"
    world.live(until=world.at_rest)
    assert jobs_by_name(client)["waits"]["status"] == "completed"
