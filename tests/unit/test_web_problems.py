"""Every error has one body, every answer an id and the headers, and nothing of the inside gets out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from brightrun.contract.states import JobStatus
from brightrun.errors import NotEnoughDisk, StorageError
from brightrun.jobs.studio import Studio
from brightrun.web.access import LoopbackAccess, Principal, SignIn
from brightrun.web.options import WebOptions
from tests.unit.web_studio import a_client, a_job

LR = {"training_file_id": "x", "lr": 1}
FOUR = {"message", "type", "param", "code"}


class Breaking(LoopbackAccess):
    """Lets nobody in, each in its own way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def principal(self, request: Request) -> Principal:  # noqa: ARG002
        raise self._error

    def sign_in(self, request: Request, token: str) -> SignIn:  # noqa: ARG002
        raise self._error


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "kind", "code", "param"),
    [
        ("GET", "/api/nothing", {}, 404, "not_found_error", "no_such_route", None),
        ("GET", "/nowhere", {}, 404, "not_found_error", "no_such_route", None),
        ("PATCH", "/api/training/jobs", {}, 405, "invalid_request_error", "method_not_allowed", None),
        ("GET", "/api/training/jobs/none", {}, 404, "not_found_error", "not_found", None),
        ("GET", "/api/training/jobs?limit=0", {}, 422, "invalid_request_error", "invalid_request", "limit"),
        ("GET", "/api/training/jobs?status=done", {}, 422, "invalid_request_error", "invalid_request", "status.0"),
        ("GET", "/api/training/jobs?after=none", {}, 404, "not_found_error", "not_found", None),
        ("GET", "/api/training/jobs/a%00b", {}, 422, "invalid_request_error", "invalid_request", "job_id"),
        ("POST", "/api/training/start-job", {"content": b"{"}, 400, "invalid_request_error", "invalid_json", None),
        ("POST", "/api/training/plan", {"json": {"training_file_id": 1}}, 422, "invalid_request_error",
         "invalid_request", "training_file_id"),
        ("POST", "/api/training/plan", {"json": LR}, 422, "invalid_request_error", "invalid_request", "lr"),
        ("POST", "/api/training/files", {"json": {}}, 400, "invalid_request_error", "invalid_body", None),
        ("POST", "/api/training/webhook", {"content": b"no"}, 400, "invalid_request_error", "invalid_body", None),
        ("GET", "/api/storage/forged", {}, 403, "permission_error", "link_refused", None),
    ],
)  # fmt: skip
def test_every_error_has_the_same_face(
    client: TestClient, method: str, path: str, sent: dict[str, object], status: int, kind: str, code: str, param: str
) -> None:
    headers = {"content-type": "application/json"} if "content" in sent else {}
    answer = client.request(method, path, headers=headers, **sent)  # type: ignore[arg-type]
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) >= FOUR
    assert (error["type"], error["code"], error["param"]) == (kind, code, param)
    assert error["message"]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["content-type"] == "application/json"


def test_all_faults_of_a_body_are_told_and_none_of_its_values(client: TestClient) -> None:
    body = {"training_file_id": 5, "compute": {"instance_type": "hunter2", "max_cost_usd": -1}, "hunter3": "hunter4"}
    answer = client.post("/api/training/start-job", json=body)
    told = answer.json()["error"]["details"]["errors"]
    places = {each["param"] for each in told}
    assert places == {"training_file_id", "compute.instance_type", "compute.max_cost_usd", "hunter3"}
    assert "hunter2" not in answer.text
    assert "hunter4" not in answer.text


@pytest.mark.parametrize("path", ["plan", "start-job", "jobs/none/retry", "../session"])
@pytest.mark.parametrize("letter", [r"\ud800", r"\uDFFF", r"a\udc00b"])
def test_half_a_letter_is_refused_and_a_whole_one_is_not(client: TestClient, path: str, letter: str) -> None:
    headers = {"content-type": "application/json"}
    half = client.post(f"/api/training/{path}", content='{"x": "' + letter + '"}', headers=headers)
    assert (half.status_code, half.json()["error"]["code"]) == (400, "invalid_body")
    whole = client.post(f"/api/training/{path}", content=r'{"x": "\ud83d\ude00 \\ud800"}', headers=headers)
    assert whole.status_code == 422


def test_a_method_that_is_not_there_says_which_are(client: TestClient) -> None:
    assert client.put("/api/training/jobs").headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/api/health", "/api/training/jobs", "/api/training/jobs/none", "/nowhere"])
def test_every_answer_guards_the_browser(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


def test_two_requests_have_two_ids(client: TestClient) -> None:
    ids = {client.get("/api/health").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_an_unforeseen_error_tells_nothing_of_the_inside(studio: Studio) -> None:
    with a_client(studio, Breaking(RuntimeError("password is hunter2")), loud=False) as client:
        answer = client.get("/api/training/jobs")
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "internal")
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    assert answer.headers["x-request-id"] in error["hint"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_part_that_does_not_answer_is_told_with_when_to_come_again(studio: Studio) -> None:
    failing = StorageError("The store is away.", details={"secret": "hunter2"})
    with a_client(studio, Breaking(failing)) as client:
        answer = client.get("/api/training/jobs")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["code"] == "storage_failed"
    assert "hunter2" not in answer.text


def test_the_hint_of_an_error_is_its_own_field(studio: Studio) -> None:
    with a_client(studio, Breaking(NotEnoughDisk("The disk is full."))) as client:
        error = client.get("/api/training/jobs").json()["error"]
    assert error["message"] == "The disk is full."
    assert error["hint"] == NotEnoughDisk.default_hint


def test_a_conflict_tells_the_status_that_is(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, status=JobStatus.COMPLETED)
    answer = client.delete(f"/api/training/jobs/{job.id}")
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("conflict_error", "illegal_transition")
    assert error["details"]["status"] == "completed"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/training/start-job"),
        ("POST", "/api/training/webhook"),
        ("POST", "/api/training/files"),
        ("PUT", "/api/storage/a.b"),
        ("DELETE", "/api/training/jobs/none"),
    ],
)
def test_a_body_without_measure_is_refused(studio: Studio, method: str, path: str, chunked: bool) -> None:
    small = WebOptions(upload_bytes=1000, webhook_bytes=1000, stored_bytes=1000, body_bytes=1000)
    body = b"x" * (1000 + (1 << 16) + 1)

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 997] for at in range(0, len(body), 997))

    headers = {"content-type": "application/json"}
    if path.endswith("files"):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n' + body
    with a_client(studio, options=small) as client:
        answer = client.request(method, path, content=pieces() if chunked else body, headers=headers)
    if chunked and method in {"PUT", "DELETE"}:  # nobody reads so far
        assert answer.status_code in {403, 404}
    else:
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"
    assert not list(studio.home.glob(".*"))


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 30, "1_0"])
def test_a_length_that_is_none_is_refused(client: TestClient, length: str) -> None:
    answer = client.post("/api/training/start-job", content=b"{}", headers={"content-length": length})
    assert answer.status_code == 413


def test_the_description_declares_every_errors_body(client: TestClient) -> None:
    description = client.get("/api/openapi.json").json()
    problem = {"$ref": "#/components/schemas/Problem"}
    checked = 0
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/api/health":
                    assert response["content"]["application/json"]["schema"] == problem, (method, path, status)
                    checked += 1
    assert checked > 100
    assert "HTTPValidationError" not in description["components"]["schemas"]
    assert "EventBatch" in description["components"]["schemas"]


def test_the_description_has_the_routes_of_the_specification(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert "post" in paths["/api/training/start-job"]
    assert "get" in paths["/api/training/jobs"]
    assert {"get", "delete"} <= set(paths["/api/training/jobs/{job_id}"])
    assert "post" in paths["/api/training/webhook"]


def test_no_page_that_loads_scripts_from_elsewhere(client: TestClient) -> None:
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404
