"""Who may enter: this machine alone without a login, everybody else with a token or a session."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from brightrun.database import tokens
from brightrun.database.tables import ApiToken
from brightrun.errors import TooManyRequests
from brightrun.jobs.studio import Studio
from brightrun.web.options import WebOptions
from brightrun.web.rate_limit import FailureLimit
from brightrun.web.sign_in import SESSION_COOKIE, SignedInAccess
from brightrun.web.tokens import issue_token
from tests.unit.web_studio import BASE, ME, HandClock, a_client

JOBS = "/api/training/jobs"


@pytest.fixture
def clock(studio: Studio) -> HandClock:
    assert isinstance(studio.clock, HandClock)
    return studio.clock


def guarded(studio: Studio, **settings: object) -> SignedInAccess:
    return SignedInAccess(
        studio.database,
        SecretStr("a secret for cookies"),
        clock=studio.clock,
        **settings,  # type: ignore[arg-type]
    )


def a_token(studio: Studio, owner_id: str = ME) -> tuple[ApiToken, str]:
    with studio.database.session() as session:
        issued = issue_token(session, owner_id=owner_id, name="for tests", now=studio.clock())
    return issued.row, issued.secret


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000", "LOCALHOST:8000"])
def test_this_machine_needs_no_login(client: TestClient, host: str) -> None:
    assert client.get(JOBS, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "10.0.0.1", "", "[bad"]
)
def test_a_name_that_only_resolves_to_this_machine_is_refused(client: TestClient, host: str) -> None:
    answer = client.get(JOBS, headers={"host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (BASE, 200),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[bad", 403),
        ("http://localhost:8000.evil.example", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_the_studios_own_pages_get_through(client: TestClient, origin: str, status: int, method: str) -> None:
    path, body = (JOBS, None) if method == "GET" else ("/api/session", {"token": "any"})
    assert client.request(method, path, json=body, headers={"origin": origin}).status_code == status


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
)
def test_a_form_of_another_site_is_refused_by_what_the_browser_says(client: TestClient, site: str, status: int) -> None:
    answer = client.post("/api/session", json={"token": "any"}, headers={"sec-fetch-site": site})
    assert answer.status_code == status


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host"])
def test_what_a_proxy_passed_on_is_refused_without_a_login(client: TestClient, header: str) -> None:
    assert client.get(JOBS, headers={header: "10.1.2.3"}).status_code == 403


@pytest.mark.parametrize("address", ["10.0.0.7", "testclient", "::ffff:10.0.0.7"])
def test_another_machine_is_refused_without_a_login(studio: Studio, address: str) -> None:
    with a_client(studio, client=(address, 5000)) as stranger:
        assert stranger.get(JOBS).status_code == 403


def test_health_and_the_description_need_no_login(studio: Studio) -> None:
    with a_client(studio, guarded(studio)) as client:
        assert client.get("/api/health").json() == {"ok": True, "version": "0.1.0", "database": "ok"}
        assert client.get("/api/openapi.json").status_code == 200


def test_every_route_asks_for_a_login_but_those_that_say_so(studio: Studio) -> None:
    with a_client(studio, guarded(studio)) as client:
        paths = client.get("/api/openapi.json").json()["paths"]
        asked = 0
        for path, operations in paths.items():
            for method, operation in operations.items():
                if operation.get("security") == []:
                    continue
                filled = path.replace("{job_id}", "a").replace("{file_id}", "b").replace("{name}", "c")
                answer = client.request(method, filled)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json()["error"]["type"] == "authentication_error"
                asked += 1
    assert asked >= 20


def test_a_token_opens_until_it_is_revoked_and_only_its_hash_is_kept(studio: Studio, clock: HandClock) -> None:
    row, secret = a_token(studio)
    headers = {"authorization": f"Bearer {secret}"}
    with a_client(studio, guarded(studio)) as client:
        assert client.get(JOBS, headers=headers).status_code == 200
        assert client.get("/api/session", headers=headers).json()["means"] == "token"
        with studio.database.session() as session:
            assert tokens.revoke(session, row.id, owner_id=ME, now=clock())
        refused = client.get(JOBS, headers=headers)
    assert refused.status_code == 401
    assert secret not in refused.text
    assert secret.startswith("brt_")
    assert len(secret) == 47
    kept = (Path(str(studio.database.url.database))).read_bytes()
    assert secret.encode() not in kept
    assert row.token_sha256 != secret
    assert secret.startswith(row.prefix)


def test_a_tokens_last_use_is_noted(studio: Studio, clock: HandClock) -> None:
    row, secret = a_token(studio)
    clock.forward(hours=3)
    with a_client(studio, guarded(studio)) as client:
        client.get(JOBS, headers={"authorization": f"Bearer {secret}"})
    with studio.database.reading() as session:
        kept = session.get(ApiToken, row.id)
    assert kept is not None
    assert kept.last_used_at == clock()


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Basic dXNlcjpwYXNz", "", "Bearer \xff\xfe"])
def test_a_wrong_token_is_refused(studio: Studio, header: str) -> None:
    with a_client(studio, guarded(studio)) as client:
        answer = client.get(JOBS, headers={"authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401


def test_a_person_signs_in_stays_and_signs_out(studio: Studio, clock: HandClock) -> None:
    _, secret = a_token(studio, "anna")
    with a_client(studio, guarded(studio)) as client:
        signed = client.post("/api/session", json={"token": secret})
        assert signed.status_code == 200
        assert signed.json()["owner_id"] == "anna"
        cookie = signed.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert secret not in cookie
        assert client.get("/api/session").json() == {"owner_id": "anna", "means": "session", "expires_at": None}
        assert client.delete("/api/session").status_code == 204
        assert client.get("/api/session").status_code == 401


def test_the_cookie_is_for_tls_only_where_there_is_tls(studio: Studio) -> None:
    _, secret = a_token(studio)
    with a_client(studio, guarded(studio), options=WebOptions(https=True)) as client:
        signed = client.post("/api/session", json={"token": secret})
    assert "Secure" in signed.headers["set-cookie"]
    assert signed.headers["strict-transport-security"].startswith("max-age=")


def test_a_session_ends_by_time_and_with_its_token(studio: Studio, clock: HandClock) -> None:
    row, secret = a_token(studio)
    with a_client(studio, guarded(studio)) as client:
        client.post("/api/session", json={"token": secret})
        cookie = {"cookie": f"{SESSION_COOKIE}={client.cookies[SESSION_COOKIE]}"}
        client.cookies.clear()
        assert client.get(JOBS, headers=cookie).status_code == 200
        clock.forward(hours=12)
        assert client.get(JOBS, headers=cookie).status_code == 401
        clock.forward(hours=-11)
        assert client.get(JOBS, headers=cookie).status_code == 200
        with studio.database.session() as session:
            tokens.revoke(session, row.id, owner_id=ME, now=clock())
        assert client.get(JOBS, headers=cookie).status_code == 401


def test_a_session_cannot_be_made_up_or_stretched(studio: Studio, clock: HandClock) -> None:
    row, secret = a_token(studio)
    with a_client(studio, guarded(studio)) as client:
        client.post("/api/session", json={"token": secret})
        said, _, signature = client.cookies[SESSION_COOKIE].rpartition(".")
        token_id, _, expires = said.partition(".")
        client.cookies.clear()
        assert token_id == row.id
        forged = [
            f"{token_id}.{int(expires) + 1}.{signature}",
            f"{token_id}.{expires}.",
            f"{said}.{signature[:-1]}",
            said,
            "..",
            "%ff",
        ]
        for cookie in forged:
            answer = client.get(JOBS, headers={"cookie": f"{SESSION_COOKIE}={cookie}"})
            assert answer.status_code == 401, cookie


def test_a_session_does_not_work_from_another_sites_page(studio: Studio) -> None:
    _, secret = a_token(studio)
    with a_client(studio, guarded(studio)) as client:
        client.post("/api/session", json={"token": secret})
        evil = {"origin": "https://evil.example"}
        assert client.delete(f"{JOBS}/x", headers=evil).status_code == 403
        assert client.delete(f"{JOBS}/x", headers={"origin": BASE}).status_code == 404


def test_ten_wrong_tokens_and_the_address_waits(studio: Studio, clock: HandClock) -> None:
    _, secret = a_token(studio)
    with a_client(studio, guarded(studio)) as client:
        for _ in range(10):
            assert client.post("/api/session", json={"token": "wrong"}).status_code == 401
        waits = client.post("/api/session", json={"token": secret})
        assert waits.status_code == 429
        assert waits.headers["retry-after"] == "300"
        assert waits.json()["error"]["type"] == "rate_limit_error"
        clock.forward(seconds=300)
        assert client.post("/api/session", json={"token": secret}).status_code == 200


def test_other_names_are_refused_where_the_studios_own_are_known(studio: Studio) -> None:
    _, secret = a_token(studio)
    headers = {"authorization": f"Bearer {secret}"}
    with a_client(studio, guarded(studio, hosts={"studio.example"})) as client:
        assert client.get(JOBS, headers=headers | {"host": "studio.example"}).status_code == 200
        assert client.get(JOBS, headers=headers | {"host": "evil.example"}).status_code == 403


def test_failures_are_counted_by_place_and_forgotten_in_time() -> None:
    clock = HandClock()
    limit = FailureLimit(clock, limit=2, window=timedelta(minutes=1))
    limit.note("a")
    clock.forward(seconds=20)
    limit.note("a")
    with pytest.raises(TooManyRequests) as refused:
        limit.check("a")
    assert refused.value.details == {"retry_after_seconds": 40}
    limit.check("b")
    clock.forward(seconds=40)
    limit.check("a")
    limit.note("a")
    with pytest.raises(TooManyRequests):
        limit.check("a")


def test_a_token_is_not_in_its_own_repr(studio: Studio) -> None:
    with studio.database.session() as session:
        issued = issue_token(session, owner_id=ME, name="n", now=studio.clock())
    assert issued.secret not in repr(issued)
