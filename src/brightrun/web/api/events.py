"""What happened to a job: as a list, or as a stream of server-sent events that can be taken up again anywhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import format_sse_event
from starlette.concurrency import run_in_threadpool

from brightrun.database import events, jobs
from brightrun.database.tables import TrainingEvent
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.web.api.schemas import EventView, JobView, Listed, page_of
from brightrun.web.deps import Answer, CurrentPrincipal, JobId, OptionsDep, StudioDep
from brightrun.web.options import WebOptions
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training/jobs/{job_id}/events", tags=["jobs"])

MEDIA_TYPE = "text/event-stream"
_RETRY_MILLISECONDS = 3000
_BATCH = 500
_NAMES = {"step": "progress", "evaluation": "progress", "sample": "progress", "checkpoint": "checkpoint"}
_PLACE = re.compile(r"(\d{1,18})(-end)?")
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
    204: {"description": "The end of the job was told before; there is nothing to connect to again."},
}

FromId = Annotated[int, Query(ge=0, lt=2**63, description="The id of the last event seen.")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=r"^\d{1,18}(-end)?$", description="Sent by browsers that connect again."),
]


@router.get("", response_model=Listed[EventView], responses=declared(401, 403, 404) | _STREAM)
def list_events(
    studio: StudioDep,
    options: OptionsDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    after: FromId = 0,
    limit: Annotated[int, Query(ge=1, le=_BATCH, description="How many at most.")] = 100,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    last_event_id: LastEventId = None,
) -> Any:
    """Events, oldest first; as a stream where `Accept` asks for text/event-stream."""
    if accept is not None and MEDIA_TYPE in accept:
        return _stream(studio, options, principal.owner_id, job_id, after, last_event_id)
    with studio.database.reading() as session:
        owned(session, principal.owner_id, job_id)
        page = page_of(events.list_after(session, job_id, after=after, limit=limit + 1), limit)
    return Listed(data=[EventView.of(row) for row in page.items], has_more=page.has_more)


@router.get("/stream", response_class=StreamingResponse, responses=declared(401, 403, 404) | _STREAM)
def stream_events(
    studio: StudioDep,
    options: OptionsDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    after: FromId = 0,
    last_event_id: LastEventId = None,
    *,
    data: Annotated[bool, Query(description="False: events only say that something happened.")] = True,
) -> Response:
    """Every event as it happens (`progress`, `checkpoint`, `log`), and `complete` with the job when it has ended.

    An event's data is what the list shows. The stream closes after `complete`; connect again with `Last-Event-ID`.
    """
    return _stream(studio, options, principal.owner_id, job_id, after, last_event_id, with_data=data)


@dataclass(frozen=True, slots=True)
class _Updates:
    events: list[TrainingEvent]
    ended: JobView | None  # the job, once it has ended and every event was read


def _stream(
    studio: Studio,
    options: WebOptions,
    owner_id: str,
    job_id: str,
    after: int,
    last_event_id: str | None,
    *,
    with_data: bool = True,
) -> Response:
    with studio.database.reading() as session:
        owned(session, owner_id, job_id)
    place = _PLACE.fullmatch(last_event_id or "")
    begin = max(after, int(place[1])) if place else after
    if place and place[2]:
        updates = _look(studio, job_id, begin)
        if updates.ended and not updates.events:
            return Response(status_code=204)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        job_stream(studio, options, job_id, begin, with_data=with_data), headers=headers, media_type=MEDIA_TYPE
    )


async def job_stream(
    studio: Studio, options: WebOptions, job_id: str, after: int, *, with_data: bool = True
) -> AsyncIterator[bytes]:
    """The stream of a job from behind event `after`: looks into the database, sleeps, looks again."""
    yield format_sse_event(retry=_RETRY_MILLISECONDS)
    age = quiet = 0.0
    while age < options.stream_seconds and not options.closing():
        updates = await run_in_threadpool(_look, studio, job_id, after)
        for row in updates.events:
            after, quiet = row.id, 0.0
            name = _NAMES.get(row.kind, "log")
            yield format_sse_event(data_str=_data(EventView.of(row), with_data=with_data), event=name, id=str(row.id))
        if updates.ended:
            yield format_sse_event(
                data_str=_data(updates.ended, with_data=with_data), event="complete", id=f"{after}-end"
            )
            return
        if len(updates.events) == _BATCH:
            continue
        if quiet >= options.heartbeat_seconds:
            quiet = 0.0
            yield format_sse_event(comment="heartbeat")
        await options.sleep(options.poll_seconds)
        age += options.poll_seconds
        quiet += options.poll_seconds


def _data(view: Answer, *, with_data: bool) -> str:
    """What an event carries; never nothing at all, since a browser passes such events over."""
    return view.model_dump_json() if with_data else "{}"


def _look(studio: Studio, job_id: str, after: int) -> _Updates:
    """Events and state in one picture, so that the end is never told before the last event."""
    with studio.database.reading() as session:
        job = jobs.get(session, job_id)
        rows = events.list_after(session, job_id, after=after, limit=_BATCH)
    over = job is not None and job.status.is_terminal and len(rows) < _BATCH
    return _Updates(rows, JobView.of(job) if job is not None and over else None)
