"""A job as one line of a list: how far, how long, what it cost. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from brightrun.database import files, spending
from brightrun.database.tables import TrainingJob
from brightrun.web.api.schemas import JobView
from brightrun.web.pages.job_facts import TimeLeft, part_done, time_left


@dataclass(frozen=True, slots=True)
class JobLine:
    """Seconds and dollars; what is None is not known. `cost` of a job that goes on is what it cost so far."""

    view: JobView
    dataset: str | None
    part: float | None
    left: TimeLeft | None
    took_seconds: float | None
    cost: Decimal | None

    @property
    def is_over(self) -> bool:
        return self.view.status.is_terminal


def read_lines(session: Session, rows: Sequence[TrainingJob], *, now: datetime) -> list[JobLine]:
    """The jobs as lines, in their order."""
    costs = spending.costs_so_far(session, [row.id for row in rows], now=now)
    datasets = files.names(session, {row.training_file_id for row in rows})
    return [
        JobLine(
            view=JobView.of(row),
            dataset=datasets.get(row.training_file_id),
            part=part_done(row),
            left=time_left(row, now),
            took_seconds=_took(row, now),
            cost=row.actual_cost_usd if row.actual_cost_usd is not None else costs[row.id],
        )
        for row in rows
    ]


def _took(row: TrainingJob, now: datetime) -> float | None:
    return None if row.started_at is None else ((row.completed_at or now) - row.started_at).total_seconds()
