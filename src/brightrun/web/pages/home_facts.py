"""What the first page shows, read from the functions that the API uses too. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from brightrun.catalogue.folders import list_pulled
from brightrun.contract.states import JobStatus
from brightrun.database import files, jobs
from brightrun.database.tables import TrainingJob
from brightrun.errors import BrightRunError
from brightrun.evaluation.comparison import Comparison
from brightrun.jobs.alarms import overdue
from brightrun.jobs.month_budget import MonthBudget, month_budget
from brightrun.jobs.results import read_comparison
from brightrun.jobs.studio import Studio
from brightrun.web.pages.job_lines import JobLine, read_lines

FAILED_SINCE = timedelta(days=7)
NEAR_PERCENT = 80.0
_ENDED = 4
_FAILED = 5
Trouble = Literal["failed", "stuck"]


@dataclass(frozen=True, slots=True)
class Concern:
    """A job that somebody should look at. `since` is when it ended, or came into the state it does not leave."""

    kind: Trouble
    line: JobLine
    since: datetime


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """How far a new owner is; `model_is_here` says whether there is any base model to train."""

    has_dataset: bool
    has_job: bool
    model_is_here: bool

    @property
    def next_one(self) -> int:
        """Which of the three steps comes next, from 1."""
        return 3 if self.has_job else 2 if self.has_dataset else 1


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """`first_steps` stands until the first job is completed. `comparison` is that of `finished`, where it has one."""

    running: Sequence[JobLine]
    finished: JobLine | None
    comparison: Comparison | None
    ended: Sequence[JobLine]
    concerns: Sequence[Concern]
    money: MonthBudget
    first_steps: FirstSteps | None

    @property
    def budget_is(self) -> Literal["fine", "near", "crossing", "spent", "none"]:
        """How the month's spending stands to its budget."""
        percent = self.money.spent_percent
        if percent is None:
            return "none"
        if percent >= 100:
            return "spent"
        if self.money.crosses_at is not None:
            return "crossing"
        return "near" if percent >= NEAR_PERCENT else "fine"


def read_home(studio: Studio, owner_id: str) -> HomeFacts:
    now = studio.clock()
    with studio.database.reading() as session:
        running = read_lines(session, jobs.list_live(session, owner_id=owner_id), now=now)
        ended = read_lines(session, _last_finished(session, owner_id), now=now)
        completed = jobs.newest_in_status(session, JobStatus.COMPLETED, owner_id=owner_id, limit=1)
        finished = read_lines(session, completed, now=now)
        concerns = _concerns(session, owner_id, now)
        steps = None if completed else _first_steps(session, studio, owner_id)
    return HomeFacts(
        running=running[::-1],
        finished=finished[0] if finished else None,
        comparison=_comparison(studio, finished[0].view.id) if finished else None,
        ended=ended,
        concerns=concerns,
        money=month_budget(studio, owner_id=owner_id),
        first_steps=steps,
    )


def _last_finished(session: Session, owner_id: str) -> list[TrainingJob]:
    """Of every ending a few, the last ones first."""
    endings = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
    rows = [row for one in endings for row in jobs.newest_in_status(session, one, owner_id=owner_id, limit=_ENDED)]
    return sorted(rows, key=lambda row: row.status_changed_at, reverse=True)[:_ENDED]


def _concerns(session: Session, owner_id: str, now: datetime) -> list[Concern]:
    """Jobs that are too long in a state, and those that failed lately and were not tried again."""
    late = [job.job_id for job in overdue(session, now=now, owner_id=owner_id)]
    stuck = [row for job_id in late if (row := jobs.get(session, job_id)) is not None]
    since = now - FAILED_SINCE
    failed = jobs.newest_in_status(session, JobStatus.FAILED, owner_id=owner_id, limit=_FAILED, since=since)
    again = jobs.retried(session, [row.id for row in failed], owner_id=owner_id, since=since)
    rows = [*stuck, *(row for row in failed if row.id not in again)]
    lines = read_lines(session, rows, now=now)
    return [
        Concern("stuck" if not row.status.is_terminal else "failed", line, row.status_changed_at)
        for row, line in zip(rows, lines, strict=True)
    ]


def _first_steps(session: Session, studio: Studio, owner_id: str) -> FirstSteps:
    return FirstSteps(
        has_dataset=bool(files.list_page(session, owner_id=owner_id, limit=1).items),
        has_job=bool(jobs.list_page(session, owner_id=owner_id, limit=1).items),
        model_is_here=any(not record.needs_conversion for _, record in list_pulled(studio.models)),
    )


def _comparison(studio: Studio, job_id: str) -> Comparison | None:
    try:
        return read_comparison(studio, job_id)
    except BrightRunError:  # a result whose file is gone does not hide the page; the job's own page says what is wrong
        return None
