"""A job's events as they happen: as a stream, or by asking again and again where a stream does not get through."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from brightrun.cli.studio_client import JOBS, StudioClient, StudioUnreachable
from brightrun.contract.states import JobStatus

MEDIA_TYPE = "text/event-stream"
_QUIET_SECONDS = 40.0  # a studio sends a heartbeat every 15 seconds
_MAX_PAUSE_SECONDS = 10.0
_ASK_SECONDS = 1.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Update:
    """An event (`kind` is its own), the job as it is now (`kind` is "job"), or what became of the connection."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


class StreamUseless(Exception):
    """What came is no stream of events, or nothing came for too long: something between holds it back."""


def follow_job(
    client: StudioClient,
    job_id: str,
    *,
    after: int = 0,
    patience_seconds: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Update]:
    """Everything that happens to a job from behind event `after`; the last news is the job that has ended.

    A studio that does not answer, because it is started again, is waited for: news of kind `lost` and `found` tell it.

    Raises:
        StudioUnreachable: it did not answer for `patience_seconds` on end.
        NotFound, NotSignedIn
    """
    tell, lost, waited, pause = _streamed, False, 0.0, 1.0
    while True:
        try:
            for updates in tell(client, job_id, after):
                if lost:
                    lost, waited, pause = False, 0.0, 1.0
                    yield Update("found")
                yield updates
                if updates.kind == "job":
                    if _is_over(updates.data):
                        return
                else:
                    after = int(updates.data["id"])
            sleep(_ASK_SECONDS)
        except StreamUseless:
            tell = _asked
        except StudioUnreachable:
            if waited >= patience_seconds:
                raise
            if not lost:
                lost = True
                yield Update("lost")
            sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _MAX_PAUSE_SECONDS)


def _streamed(client: StudioClient, job_id: str, after: int) -> Iterator[Update]:
    timeout = httpx.Timeout(10.0, read=_QUIET_SECONDS)
    path, headers = f"{JOBS}/{job_id}/events/stream", {"accept": MEDIA_TYPE}
    try:
        with client.stream("GET", path, params={"after": after}, headers=headers, timeout=timeout) as reply:
            if not reply.headers.get("content-type", "").startswith(MEDIA_TYPE):
                raise StreamUseless
            for name, data in read_stream(reply.iter_lines()):
                body = json.loads(data)
                yield Update("job" if name == "complete" else str(body["kind"]), body)
    except StudioUnreachable as error:
        if isinstance(error.__cause__, httpx.ReadTimeout):
            raise StreamUseless from error
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise StreamUseless from error


def _asked(client: StudioClient, job_id: str, after: int) -> Iterator[Update]:
    """The job first: once it has ended, the list after it holds every event."""
    job = client.job(job_id)
    while True:
        page = client.get(f"{JOBS}/{job_id}/events", after=after, limit=_PAGE)
        for event in page["data"]:
            after = int(event["id"])
            yield Update(str(event["kind"]), event)
        if not page["has_more"]:
            break
    yield Update("job", job)


def read_stream(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Name and data of each event of a stream (HTML standard, section 9.2.6), without comments and retry times."""
    name = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield name or "message", "\n".join(data)
            name = ""
            data.clear()
            continue
        field_name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field_name == "event":
            name = value
        elif field_name == "data":
            data.append(value)


def _is_over(job: dict[str, Any]) -> bool:
    try:
        return JobStatus(job["status"]).is_terminal
    except ValueError:
        return False
