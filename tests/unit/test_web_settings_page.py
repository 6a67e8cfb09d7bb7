"""Settings: tokens over the API and on the page, connections asked now, and who may see what the studio stands on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.contract.states import JobStatus
from brightrun.database.database import Database
from brightrun.errors import ComputeError, StorageError
from brightrun.jobs.connections import (
    CONNECTIONS,
    compute_finding,
    database_findings,
    models_finding,
    storage_finding,
    webhook_finding,
)
from brightrun.jobs.studio import Studio
from brightrun.settings import Settings, setting_rows
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner
from brightrun.web.options import WebOptions
from tests.unit.test_web_access import a_token, guarded
from tests.unit.web_studio import BASE, ME, SOMEBODY_ELSE, HandClock, a_client, a_job

HTML = {"accept": "text/html,*/*"}
TOKENS = "/api/tokens"


def test_a_token_is_shown_once_and_lets_its_bearer_in(studio: Studio, client: TestClient) -> None:
    made = client.post(TOKENS, json={"name": "  the pipeline "})
    assert made.status_code == 201
    body = made.json()
    assert body["name"] == "the pipeline"
    secret = body["token"]
    assert secret.startswith(body["prefix"])
    assert made.headers["cache-control"] == "no-store"
    listed = client.get(TOKENS)
    assert [each["id"] for each in listed.json()["data"]] == [body["id"]]
    page = client.get("/settings", headers=HTML)
    assert "the pipeline" in page.text
    assert secret not in listed.text + page.text
    with a_client(studio, guarded(studio)) as other:
        bearer = {"authorization": f"Bearer {secret}"}
        assert other.get(TOKENS, headers=bearer).status_code == 200
        assert other.get(TOKENS).status_code == 401
        assert client.delete(f"{TOKENS}/{body['id']}").json()["revoked_at"] is not None
        assert other.get(TOKENS, headers=bearer).status_code == 401
    again = client.delete(f"{TOKENS}/{body['id']}")
    assert again.status_code == 200
    assert "1 revoked token" in client.get("/settings", headers=HTML).text


@pytest.mark.parametrize("body", [{}, {"name": "   "}, {"name": "x" * 101}, {"name": "a", "owner_id": "other"}])
def test_a_token_that_cannot_be_made_says_why(client: TestClient, body: dict[str, str]) -> None:
    assert client.post(TOKENS, json=body).status_code == 422
    assert client.get(TOKENS).json()["data"] == []


def test_tokens_of_others_are_neither_seen_nor_revoked(studio: Studio, client: TestClient) -> None:
    theirs, secret = a_token(studio, SOMEBODY_ELSE)
    assert client.get(TOKENS).json()["data"] == []
    assert client.delete(f"{TOKENS}/{theirs.id}").status_code == 404
    with a_client(studio, guarded(studio)) as other:
        made = other.post(TOKENS, json={"name": "mine"}, headers={"authorization": f"Bearer {secret}"})
        assert made.status_code == 201
        assert len(other.get(TOKENS, headers={"authorization": f"Bearer {secret}"}).json()["data"]) == 2
    assert client.get(TOKENS).json()["data"] == []


def test_a_page_of_another_site_makes_no_token(client: TestClient) -> None:
    assert client.post(TOKENS, json={"name": "evil"}, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get(TOKENS).json()["data"] == []


def test_every_connection_is_asked_and_told(studio: Studio, client: TestClient) -> None:
    page = client.get("/settings", headers=HTML).text
    for name in CONNECTIONS:
        assert f'data-live="/settings/checks/{name}"' in page
        answer = client.get(f"/settings/checks/{name}", headers=HTML)
        assert answer.status_code == 200
        assert '<ul class="checks">' in answer.text
    assert "Works: " in client.get("/settings/checks/database", headers=HTML).text
    assert "brightrun model pull" in client.get("/settings/checks/models", headers=HTML).text
    assert client.get("/settings/checks/nothing", headers=HTML).status_code == 404
    assert list(studio.storage.list("")) == []


def test_only_the_operator_sees_what_the_studio_stands_on(studio: Studio) -> None:
    _, mine = a_token(studio, ME)
    _, theirs = a_token(studio, SOMEBODY_ELSE)
    rows = setting_rows(Settings(hf_token="hf_very_secret", home=Path("/srv/brightrun")))  # type: ignore[arg-type]
    with a_client(studio, guarded(studio), options=WebOptions(settings=rows)) as client:
        seen = client.get("/settings", headers={**HTML, "authorization": f"Bearer {mine}"})
        assert "/srv/brightrun" in seen.text
        assert "set, not shown" in seen.text
        assert "hf_very_secret" not in seen.text
        other = {**HTML, "authorization": f"Bearer {theirs}"}
        hidden = client.get("/settings", headers=other)
        assert hidden.status_code == 200
        assert "/srv/brightrun" not in hidden.text
        assert "Connections" not in hidden.text
        for name in CONNECTIONS:
            assert client.get(f"/settings/checks/{name}", headers=other).status_code == 404


def test_the_budget_form_shows_the_owners_own_amounts(client: TestClient) -> None:
    assert 'name="monthly_budget_usd"' in client.get("/settings", headers=HTML).text
    client.put("/api/training/budget", json={"monthly_budget_usd": 120, "default_job_cap_usd": 7.5})
    page = client.get("/settings", headers=HTML).text
    assert 'value="120"' in page
    assert 'value="7.5"' in page
    assert "of $120.00" in page


class _Broken(InMemory):
    def put(self, *_: object, **__: object) -> object:  # type: ignore[override]
        raise StorageError("The disk is gone.", hint="Plug it in.")


class _Forgetful(InMemory):
    def open(self, key: str, **_: object) -> object:  # type: ignore[override]
        return super().open(key, start=1)


def test_storage_is_tried_and_left_as_it_was() -> None:
    signer = LinkSigner("a secret for the links", BASE)
    store = InMemory(signer, clock=HandClock())
    assert storage_finding(store).outcome == "ok"
    assert list(store.list("")) == []
    broken = storage_finding(_Broken(signer, clock=HandClock()))
    assert (broken.outcome, broken.message, broken.fix) == ("fail", "The disk is gone.", "Plug it in.")
    assert storage_finding(_Forgetful(signer, clock=HandClock())).outcome == "fail"


class _Away(SimulatedCompute):
    def list_managed(self) -> list[object]:  # type: ignore[override]
        raise ComputeError("The worker does not answer.")


def test_compute_that_is_away_fails_where_jobs_depend_on_it() -> None:
    assert compute_finding(SimulatedCompute(HandClock()), is_default=True).message == "ready, nothing runs (default)"
    away = compute_finding(_Away(HandClock()), is_default=True)
    assert (away.outcome, away.check) == ("fail", "compute simulated")
    assert away.fix
    assert compute_finding(_Away(HandClock()), is_default=False).outcome == "warn"


def test_a_database_with_older_tables_or_stuck_jobs_is_told(studio: Studio, tmp_path: Path) -> None:
    job = a_job(studio, status=JobStatus.QUEUED)
    assert [each.outcome for each in database_findings(studio.database, now=studio.clock())] == ["ok", "ok"]
    assert isinstance(studio.clock, HandClock)
    studio.clock.forward(hours=3)
    stuck = list(database_findings(studio.database, now=studio.clock()))[1]
    assert stuck.outcome == "warn"
    assert job.id in stuck.message
    old = Database(f"sqlite:///{tmp_path / 'old.db'}")
    old.migrate("0001")
    (found,) = database_findings(old, now=datetime.now(UTC))
    old.close()
    assert (found.outcome, found.fix) == ("warn", "brightrun serve brings them up to date.")


def answering(status: int) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status if request.url.path == "/api/health" else 500))


def _refusing(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no")


@pytest.mark.parametrize(
    ("url", "transport", "outcome", "told"),
    [
        (None, answering(500), "ok", "no public address"),
        ("https://studio.example", answering(200), "ok", "send their events"),
        ("http://studio.example", answering(200), "warn", "no https"),
        ("https://studio.example", answering(502), "warn", "status 502"),
        ("https://studio.example", httpx.MockTransport(_refusing), "warn", "does not answer from here"),
    ],
)
def test_the_public_address_is_tried(url: str | None, transport: httpx.BaseTransport, outcome: str, told: str) -> None:
    found = webhook_finding(url, transport=transport)
    assert found.outcome == outcome
    assert told in found.message
    assert bool(found.fix) == (outcome != "ok")


def test_models_that_are_missing_name_the_way(tmp_path: Path) -> None:
    assert models_finding(tmp_path / "none").fix == "Pull one: brightrun model pull smollm2-135m-instruct"


def test_a_check_that_finds_fault_shows_its_fix(studio: Studio) -> None:
    with a_client(replace(studio, computes={"simulated": _Away(HandClock())})) as client:
        page = client.get("/settings/checks/compute", headers=HTML).text
    assert "Does not work: " in page
    assert 'class="fix"' in page
