"""The stream of a job's events: everything once and in order, taken up anywhere, closed after the end."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.states import EndReason, JobStatus
from brightrun.jobs.studio import Studio
from brightrun.web.options import WebOptions
from tests.unit.web_studio import SOMEBODY_ELSE, a_client, a_job, end, tell

SSE = {"accept": "text/event-stream"}


@dataclass(frozen=True)
class Told:
    event: str
    id: str
    data: dict[str, object]


def read(text: str) -> tuple[list[Told], int, list[str]]:
    """What a browser would hear: events, the pause before it connects again, and comments."""
    told, retry, comments = [], 0, []
    for block in text.removesuffix("\n\n").split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        if "retry" in fields:
            retry = int(fields["retry"])
        elif "" in fields:
            comments.append(fields[""])
        elif fields.get(":") is None and "data" in fields:
            told.append(Told(fields["event"], fields["id"], json.loads(fields["data"])))
        else:
            comments.append(block.removeprefix(": "))
    return told, retry, comments


def acting(*acts: Callable[[], object]) -> Callable[[float], Awaitable[None]]:
    """A sleep during which, each time, the next thing happens; it does not wait."""
    left = list(acts)

    async def sleep(_: float) -> None:
        assert left, "the stream goes on though nothing will happen any more"
        left.pop(0)()

    return sleep


def streamed(studio: Studio, job_id: str, *acts: Callable[[], object], **asked: object) -> str:
    options = WebOptions(sleep=acting(*acts), poll_seconds=0.5, heartbeat_seconds=1.0)
    with a_client(studio, options=options) as client:
        answer = client.get(f"/api/training/jobs/{job_id}/events/stream", **asked)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text


def test_a_page_is_told_that_something_happened_and_asks_for_the_rest_itself(studio: Studio) -> None:
    job = a_job(studio)
    tell(studio, job, "a sentence that the page draws anew anyway")
    text = streamed(studio, job.id, lambda: end(studio, job, JobStatus.FAILED), params={"data": "false"})
    assert "a sentence" not in text
    carried = re.findall(r"^data: (.*)$", text, re.MULTILINE)
    assert len(carried) >= 2, "an event and the end; a browser passes events without data over"
    assert set(carried) == {"{}"}
    assert "event: complete" in text


def test_what_was_and_what_comes_is_told_once_in_order_and_then_it_closes(studio: Studio) -> None:
    job = a_job(studio)
    first = tell(studio, job, "one")
    text = streamed(
        studio, job.id,
        lambda: tell(studio, job, "two\nlines", kind="step"),
        lambda: (tell(studio, job, "three", kind="checkpoint"), tell(studio, job, "four", kind="evaluation")),
        lambda: end(studio, job, JobStatus.FAILED, EndReason.DISK_FULL),
    )  # fmt: skip
    told, retry, _ = read(text)
    assert retry == 3000
    assert [each.event for each in told] == ["log", "progress", "checkpoint", "progress", "log", "complete"]
    assert [each.data.get("message") for each in told[:4]] == ["one", "two\nlines", "three", "four"]
    ids = [int(each.id) for each in told[:-1]]
    assert ids[0] == first
    assert ids == sorted(set(ids))
    assert told[-1].id == f"{ids[-1]}-end"
    assert told[-1].data["status"] == "failed"
    assert told[-1].data["reason"] == "disk_full"
    assert told[-1].data["id"] == job.id


def test_the_list_and_the_stream_say_the_same(studio: Studio) -> None:
    job = a_job(studio)
    for number in range(5):
        tell(studio, job, str(number))
    end(studio, job, JobStatus.COMPLETED)
    told, _, _ = read(streamed(studio, job.id))
    with a_client(studio) as client:
        listed = client.get(f"/api/training/jobs/{job.id}/events").json()
    assert listed["object"] == "list"
    assert [each.data for each in told[:-1]] == listed["data"]


@pytest.mark.parametrize("seen", range(7))
def test_a_stream_goes_on_behind_the_last_event_that_was_seen(studio: Studio, seen: int) -> None:
    job = a_job(studio)
    ids = [tell(studio, job, str(number)) for number in range(6)]
    end(studio, job, JobStatus.CANCELLED, EndReason.CANCELLED_BY_USER)
    last = {"last-event-id": str(ids[seen - 1] if seen else 0)}
    told, _, _ = read(streamed(studio, job.id, headers=last))
    assert [each.data.get("message") for each in told[:-2]] == [str(number) for number in range(seen, 6)]
    assert told[-1].event == "complete"
    asked, _, _ = read(streamed(studio, job.id, params={"after": last["last-event-id"]}))
    assert asked == told


def test_a_browser_that_comes_again_after_the_end_is_told_to_stop(studio: Studio) -> None:
    job = a_job(studio)
    tell(studio, job, "one")
    end(studio, job, JobStatus.COMPLETED)
    told, _, _ = read(streamed(studio, job.id))
    with a_client(studio) as client:
        path = f"/api/training/jobs/{job.id}/events"
        again = client.get(path, headers=SSE | {"last-event-id": told[-1].id})
        assert (again.status_code, again.content) == (204, b"")
        tell(studio, job, "late")
        late, _, _ = read(client.get(path, headers=SSE | {"last-event-id": told[-1].id}).text)
    assert [each.data.get("message") for each in late] == ["late", None]


def test_silence_is_broken_by_heartbeats(studio: Studio) -> None:
    job = a_job(studio)
    nothing = [lambda: None] * 5
    _, _, comments = read(streamed(studio, job.id, *nothing, lambda: end(studio, job, JobStatus.COMPLETED)))
    assert comments == ["heartbeat", "heartbeat"]


def test_a_long_event_log_comes_whole(studio: Studio) -> None:
    job = a_job(studio)
    for number in range(1203):
        tell(studio, job, str(number))
    end(studio, job, JobStatus.COMPLETED)
    told, _, _ = read(streamed(studio, job.id))
    assert [each.data["message"] for each in told[:1203]] == [str(number) for number in range(1203)]
    assert told[-1].event == "complete"


def test_a_stream_ends_after_its_time_so_that_its_reader_is_known_afresh(studio: Studio) -> None:
    job = a_job(studio)
    tell(studio, job, "one")
    options = WebOptions(sleep=acting(*[lambda: None] * 4), poll_seconds=0.5, stream_seconds=2.0)
    with a_client(studio, options=options) as client:
        text = client.get(f"/api/training/jobs/{job.id}/events", headers=SSE).text
    told, _, _ = read(text)
    assert [each.event for each in told] == ["log"]


def test_a_stream_ends_when_the_server_is_about_to_stop(studio: Studio) -> None:
    job = a_job(studio)
    tell(studio, job, "one")
    stop: list[bool] = []
    options = WebOptions(sleep=acting(lambda: None, lambda: stop.append(True)), closing=lambda: bool(stop))
    with a_client(studio, options=options) as client:
        told, _, _ = read(client.get(f"/api/training/jobs/{job.id}/events", headers=SSE).text)
    assert [each.event for each in told] == ["log"]


def test_the_same_address_streams_where_accept_asks(studio: Studio) -> None:
    job = a_job(studio, status=JobStatus.COMPLETED)
    with a_client(studio) as client:
        path = f"/api/training/jobs/{job.id}/events"
        assert client.get(path).headers["content-type"] == "application/json"
        assert client.get(path, headers=SSE).headers["content-type"].startswith("text/event-stream")


def test_a_list_of_events_has_pages(studio: Studio) -> None:
    job = a_job(studio)
    ids = [tell(studio, job, str(number)) for number in range(5)]
    with a_client(studio) as client:
        path = f"/api/training/jobs/{job.id}/events"
        first = client.get(path, params={"limit": 3}).json()
        rest = client.get(path, params={"limit": 3, "after": first["data"][-1]["id"]}).json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:3], True)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[3:], False)


@pytest.mark.parametrize("last", ["abc", "-1", "1-x", "9" * 19, "1 or 1=1"])
def test_a_place_that_is_none_is_refused(studio: Studio, last: str) -> None:
    job = a_job(studio)
    with a_client(studio) as client:
        answer = client.get(f"/api/training/jobs/{job.id}/events/stream", headers={"last-event-id": last})
    assert answer.status_code == 422


def test_nobody_hears_of_another_owners_job(studio: Studio) -> None:
    job = a_job(studio, owner_id=SOMEBODY_ELSE)
    with a_client(studio) as client:
        _refused(client, job.id)
        _refused(client, "none")


def _refused(client: TestClient, job_id: str) -> None:
    for path, headers in ((f"{job_id}/events", {}), (f"{job_id}/events", SSE), (f"{job_id}/events/stream", {})):
        answer = client.get(f"/api/training/jobs/{path}", headers=headers)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"
