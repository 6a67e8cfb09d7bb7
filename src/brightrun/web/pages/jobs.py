"""The list of jobs: filter, search, sort, page by page, live; two to four of them can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.database.job_list import JobOrder, OrderBy
from brightrun.jobs.studio import Studio
from brightrun.web.deps import After, CurrentPrincipal, StudioDep
from brightrun.web.pages.job_lines import read_lines
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)

Show = Literal["all", "live", "completed", "failed", "cancelled"]
Find = Annotated[str, Query(max_length=200)]
Direction = Literal["asc", "desc"]
SHOWN: dict[Show, str] = {
    "all": "All",
    "live": "Going on",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
COLUMNS: dict[OrderBy, str] = {
    "name": "Job",
    "status": "Status",
    "dataset": "Dataset",
    "progress": "Progress",
    "started": "Started",
    "duration": "Duration",
    "cost": "Cost",
}
ORDERS: dict[OrderBy, str] = {"created": "Newest", **COLUMNS}
_RISING: frozenset[OrderBy] = frozenset({"name", "dataset", "status"})  # read from A on when first asked for
_PER_PAGE = 25
_LIVE = [status for status in JobStatus if not status.is_terminal]


@dataclass(frozen=True, slots=True)
class JobListQuery:
    """Which part of the list is shown, and the addresses of others."""

    show: Show
    find: str
    order: OrderBy
    direction: Direction
    after: str | None

    @property
    def statuses(self) -> Sequence[JobStatus] | None:
        if self.show == "all":
            return None
        return _LIVE if self.show == "live" else [JobStatus(self.show)]

    @property
    def is_narrowed(self) -> bool:
        return self.show != "all" or bool(self.find.strip())

    def query(self, **changes: str | None) -> str:
        """This part's address, changed; what is as it is without being named is left out."""
        usual = {"show": "all", "find": "", "order": "created", "direction": first_direction("created"), "after": None}
        said = {name: getattr(self, name) for name in usual} | changes
        return urlencode({name: value for name, value in said.items() if value not in {usual[name], None}})

    def sorted_by(self, column: OrderBy) -> str:
        """The address of the list sorted by a column, the other way round where it is sorted by it already."""
        turned: Direction = "asc" if self.direction == "desc" else "desc"
        direction = turned if column == self.order else first_direction(column)
        return self.query(order=column, direction=direction, after=None)


def first_direction(column: OrderBy) -> Direction:
    return "asc" if column in _RISING else "desc"


def _asked(
    show: Show = "all",
    find: Find = "",
    order: OrderBy = "created",
    direction: Literal["asc", "desc", ""] = "",
    after: After = None,
) -> JobListQuery:
    return JobListQuery(show, find, order, direction or first_direction(order), after)


JobListQueryDep = Annotated[JobListQuery, Depends(_asked)]


@router.get("/jobs")
def show_jobs(request: Request, studio: StudioDep, principal: CurrentPrincipal, asked: JobListQueryDep) -> Response:
    """The whole page."""
    values = _listed(studio, principal.owner_id, asked)
    return page(request, "jobs.html", title="Jobs", active="jobs", shown=SHOWN, orders=ORDERS, **values)


@router.get("/jobs/list")
def show_list(request: Request, studio: StudioDep, principal: CurrentPrincipal, asked: JobListQueryDep) -> Response:
    """The list alone, as it is fetched again and again."""
    return page(request, "jobs_list.html", **_listed(studio, principal.owner_id, asked))


def _listed(studio: Studio, owner_id: str, asked: JobListQuery) -> dict[str, Any]:
    now = studio.clock()
    order = JobOrder(asked.order, asked.direction == "desc", now)
    wanted: dict[str, Any] = {"owner_id": owner_id, "statuses": asked.statuses, "find": asked.find}
    with studio.database.reading() as session:
        found = jobs.list_page(session, limit=_PER_PAGE, after=asked.after, order=order, **wanted)
        return {
            "asked": asked,
            "columns": COLUMNS,
            "lines": read_lines(session, found.items, now=now),
            "has_more": found.has_more,
            "number": jobs.count(session, **wanted),
        }
