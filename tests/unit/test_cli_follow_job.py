"""The command line's end of the wire: errors that come back, answers that are lost, streams that break."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from brightrun.cli.follow_job import Update, follow_job, read_stream
from brightrun.cli.show import Screen
from brightrun.cli.studio_client import StudioClient, StudioRefused, StudioUnreachable
from brightrun.cli.watch_job import watch
from brightrun.errors import BrightRunError, IdempotencyConflict, InputError, NotFound

URL = "http://studio.test"


def _client(answer: Callable[[httpx.Request], httpx.Response], **more: Any) -> StudioClient:
    return StudioClient(URL, transport=httpx.MockTransport(answer), sleep=lambda _: None, **more)


def _problem(status: int, code: str) -> httpx.Response:
    body = {"message": "No.", "type": "x", "param": None, "code": code, "hint": "Do.", "details": {"a": 1}}
    return httpx.Response(status, json={"error": body}, headers={"x-request-id": "r-1"})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not_found", NotFound),
        (409, "idempotency_conflict", IdempotencyConflict),
        (400, "invalid_input", InputError),
        (418, "a_new_code", StudioRefused),
        (503, "database_unavailable", StudioUnreachable),
    ],
)
def test_an_error_is_the_one_that_was_raised_there(status: int, code: str, kind: type[BrightRunError]) -> None:
    with _client(lambda _: _problem(status, code)) as client, pytest.raises(kind) as caught:
        client.get("/api/x")
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("No.", "Do.")
    assert caught.value.details == {"a": 1, "http_status": status, "code": code, "request_id": "r-1"}


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(502, text="<html>")])
def test_something_else_answers_there(answer: httpx.Response) -> None:
    with _client(lambda _: answer) as client, pytest.raises(StudioUnreachable, match="not a Bright Run studio"):
        client.get("/api/x")


def test_a_start_whose_answer_was_lost_is_asked_again_with_its_key() -> None:
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) < 3:
            raise httpx.ReadError("lost")
        return httpx.Response(201, json={"training_job_id": "j"})

    with _client(answer) as client:
        assert client.start({}, key="k")["training_job_id"] == "j"
    assert keys == ["k", "k", "k"]


def test_the_token_goes_along_and_shows_nowhere() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        raise httpx.ConnectError("no")

    client = StudioClient(URL, "brt_secret", transport=httpx.MockTransport(answer), sleep=lambda _: None)
    with client, pytest.raises(StudioUnreachable) as caught:
        client.get("/api/x")
    assert seen == ["Bearer brt_secret"]
    assert "brt_secret" not in repr(client) + str(caught.value.as_dict())


def test_a_download_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    cut = _client(lambda _: httpx.Response(200, content=b"PK half a zip"))
    with cut as client, pytest.raises(StudioUnreachable, match="did not arrive whole"):
        client.download("j", tmp_path / "a.zip", lambda _done, _total: None)
    assert list(tmp_path.iterdir()) == []


# Following a job


def _event(number: int, kind: str = "step", status: str = "training") -> dict[str, Any]:
    data = {"loss": 1.0 / number, "learning_rate": 1e-4, "tokens_per_second": 10.0, "seconds_left": 5.0}
    return {
        "id": number,
        "kind": kind,
        "status": status,
        "step": number,
        "total_steps": 9,
        "happened_at": "2026-11-26T12:00:00Z",
        "message": None,
        "data": data,
    }


def _job(status: str) -> dict[str, Any]:
    return {
        "id": "j",
        "name": "n",
        "status": status,
        "current_step": None,
        "total_steps": 9,
        "happened_at": "2026-11-26T12:00:00Z",
        "message": None,
    }


def _stream(*events: dict[str, Any], end: dict[str, Any] | None = None) -> httpx.Response:
    lines = [f"id: {event['id']}\nevent: progress\ndata: {json.dumps(event)}\n\n" for event in events]
    lines += [] if end is None else [f"event: complete\ndata: {json.dumps(end)}\n\n"]
    return httpx.Response(200, text="retry: 3000\n\n" + "".join(lines), headers={"content-type": "text/event-stream"})


def test_a_stream_is_read_as_the_standard_says() -> None:
    lines = [
        ": heartbeat",
        "",
        "event: a",
        "data: 1",
        "data:2",
        "id: 7",
        "",
        "data: x",
        "",
        "event: empty",
        "",
        "data: cut",
    ]
    assert list(read_stream(iter(lines))) == [("a", "1\n2"), ("message", "x")]


def test_a_broken_stream_goes_on_behind_the_last_event() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["after"])
        if len(asked) == 1:
            return _stream(_event(1), _event(2))
        if len(asked) < 4:
            raise httpx.ConnectError("it is started again")
        return _stream(_event(3), end=_job("completed"))

    with _client(answer) as client:
        updates = list(follow_job(client, "j", sleep=lambda _: None))
    assert asked == ["0", "2", "2", "2"]
    assert [each.kind for each in updates] == ["step", "step", "lost", "found", "step", "job"]
    assert [each.data["id"] for each in updates if each.kind == "step"] == [1, 2, 3]


def test_where_no_stream_gets_through_it_is_asked_again_and_again() -> None:
    states = iter(["training", "training", "completed"])
    pages = {"0": [_event(1)], "1": [], "2": []}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/stream"):
            return httpx.Response(200, text="<html>a proxy's own page</html>", headers={"content-type": "text/html"})
        if request.url.path.endswith("/events"):
            return httpx.Response(200, json={"data": pages[request.url.params["after"]], "has_more": False})
        return httpx.Response(200, json=_job(next(states)))

    with _client(answer) as client:
        updates = list(follow_job(client, "j", sleep=lambda _: None))
    assert [each.kind for each in updates] == ["step", "job", "job", "job"]
    assert updates[-1].data["status"] == "completed"


def test_a_stream_that_is_held_back_is_not_waited_for_for_ever() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/stream"):
            raise httpx.ReadTimeout("nothing came")
        if request.url.path.endswith("/events"):
            return httpx.Response(200, json={"data": [], "has_more": False})
        return httpx.Response(200, json=_job("failed"))

    with _client(answer) as client:
        assert [each.kind for each in follow_job(client, "j", sleep=lambda _: None)] == ["job"]


def test_a_studio_that_stays_away_is_given_up() -> None:
    slept: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone")

    with _client(answer) as client, pytest.raises(StudioUnreachable):
        list(follow_job(client, "j", patience_seconds=60, sleep=slept.append))
    assert 60 <= sum(slept) <= 75


def test_what_is_shown_of_a_job() -> None:
    out = io.StringIO()
    evaluated = {**_event(3, kind="evaluation"), "data": {"phase": "baseline", "loss": 2.5}}
    said = {**_event(4, kind="message"), "data": {}, "message": "A [bold]plain[/] word."}
    updates = [
        Update("status", {**_event(1, kind="status"), "message": "It trains."}),
        Update("lost"), Update("found"), Update("step", _event(2)), Update("evaluation", evaluated),
        Update("message", said),
        Update("job", _job("completed")),
    ]  # fmt: skip
    ended = watch(_job("queued"), updates, Screen(file=out, width=120))
    assert ended["status"] == "completed"
    text = out.getvalue()
    for wanted in (
        "Training  It trains.",
        "does not answer",
        "It is back.",
        "untouched base: 2.500",
        "A [bold]plain[/] word.",
    ):
        assert wanted in text


def test_what_only_a_newer_studio_knows_is_shown_too() -> None:
    out = io.StringIO()
    throttled = {**_event(1, kind="gpu_throttled"), "data": {"celsius": 91, "note": "[red]hot[/]"}}
    watch(_job("training"), [Update("gpu_throttled", throttled), Update("job", _job("completed"))], Screen(file=out))
    assert "Gpu throttled, celsius 91, note [red]hot[/]" in out.getvalue()
