"""A job's curves as CSV, every point of them, written while it is sent."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from brightrun.contract.step_metrics import STEP_METRICS
from brightrun.database import metrics
from brightrun.database.metrics import MetricPoint
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.plain_text import file_stem
from brightrun.web.deps import CurrentPrincipal, JobId, StudioDep
from brightrun.web.problems import declared
from brightrun.web.stored_files import attachment

router = APIRouter(prefix="/api/training/jobs/{job_id}", tags=["jobs"])
COLUMNS = ("kind", "step", *STEP_METRICS, "recorded_at")
_CSV = "text/csv"
_AT_ONCE = 1000


@router.get(
    "/metrics.csv",
    response_class=StreamingResponse,
    responses=declared(401, 403, 404)
    | {200: {"content": {_CSV: {"schema": {"type": "string"}}}, "description": "One line for each point."}},
)
def get_metrics_csv(studio: StudioDep, principal: CurrentPrincipal, job_id: JobId) -> StreamingResponse:
    """Every step and every validation measurement; a cell is empty where the value is not known."""
    with studio.database.reading() as session:
        job = owned(session, principal.owner_id, job_id)
    headers = {"content-disposition": attachment(f"{file_stem(job.name, otherwise='job')}-metrics.csv")}
    return StreamingResponse(_lines(studio, job_id), media_type=f"{_CSV}; charset=utf-8", headers=headers)


def _lines(studio: Studio, job_id: str) -> Iterator[str]:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(COLUMNS)
    with studio.database.reading() as session:
        for number, point in enumerate(metrics.every(session, job_id), start=1):
            writer.writerow(_cells(point))
            if number % _AT_ONCE == 0:
                yield _taken(sink)
    yield _taken(sink)


def _cells(point: MetricPoint) -> list[object]:
    values = [getattr(point, name) for name in COLUMNS[:-1]]
    return [*("" if value is None else value for value in values), point.recorded_at.isoformat()]


def _taken(sink: io.StringIO) -> str:
    text = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return text
