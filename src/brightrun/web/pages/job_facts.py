"""What the page of a job shows, read in one picture from the functions that the API uses too. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy.orm import Session

from brightrun.contract.states import JobStatus
from brightrun.database import artifacts, attempts, events, spending
from brightrun.database.tables import ModelArtifact, TrainingAttempt, TrainingJob
from brightrun.jobs.limits import cap_of, may_have_adapter
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.web.api.artifacts import ADAPTER
from brightrun.web.api.schemas import JobView

STAGES = tuple(status for status in JobStatus if status not in {JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a job's way; the last one of a job that failed or was cancelled is where it `ended`."""

    status: JobStatus
    words: str
    state: Literal["done", "now", "ended", "open"]


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Seconds; `to_the_end` is false where only the steps' own time is known."""

    seconds: float
    to_the_end: bool


@dataclass(frozen=True, slots=True)
class JobMoney:
    """Dollars of a job; None is not known, never nothing."""

    spent: Decimal | None
    expected: Decimal | None
    band: tuple[Decimal, Decimal] | None
    cap: Decimal | None

    @property
    def is_known(self) -> bool:
        """Whether there is anything to draw."""
        return self.spent is not None or self.expected is not None or self.cap is not None


@dataclass(frozen=True, slots=True)
class Downloads:
    """What a job delivered. `weights` is the adapter's own file, whose hash stands for it."""

    zip_bytes: int
    weights: ModelArtifact | None
    files: Sequence[ModelArtifact]

    def named(self, name: str) -> ModelArtifact | None:
        return next((file for file in self.files if file.name == name), None)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as its page shows it. `last_event` is where the page's stream of events goes on."""

    row: TrainingJob
    view: JobView
    stages: Sequence[Stage]
    part: float | None
    left: TimeLeft | None
    took_seconds: float | None
    money: JobMoney
    attempts: Sequence[TrainingAttempt]
    downloads: Downloads | None
    last_event: int

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more, but for an adapter that is still downloaded."""
        return self.view.status.is_terminal

    @property
    def may_export(self) -> bool:
        """Whether canceling can keep what was trained on so far."""
        return not self.is_over and bool(self.attempts) and may_have_adapter(self.attempts[-1])


def read_facts(studio: Studio, owner_id: str, job_id: str) -> JobFacts:
    """Raises NotFound: the owner has no such job."""
    now = studio.clock()
    with studio.database.reading() as session:
        job = owned(session, owner_id, job_id)
        newest = events.list_latest(session, job_id, limit=1)
        last_stage = events.last_stage(session, job_id) if job.status.is_terminal else job.status
        return JobFacts(
            row=job,
            view=JobView.of(job),
            stages=stages(job.status, last_stage),
            part=part_done(job),
            left=time_left(job, now),
            took_seconds=None
            if job.started_at is None
            else ((job.completed_at or now) - job.started_at).total_seconds(),
            money=money_of(session, job, now),
            attempts=attempts.list_for_job(session, job_id),
            downloads=_downloads(artifacts.list_for_job(session, job_id)),
            last_event=newest[-1].id if newest else 0,
        )


def stages(status: JobStatus, last_stage: JobStatus | None) -> list[Stage]:
    """Every stage and how far the job is on its way.

    Args:
        last_stage: The last stage before it ended, or where it is; None: not known.
    """
    if status is JobStatus.COMPLETED:
        return [Stage(one, one.words, "done") for one in STAGES]
    here = STAGES.index(last_stage) if last_stage in STAGES else -1
    at_here: Literal["ended", "now"] = "ended" if status.is_terminal else "now"
    return [
        Stage(one, one.words, "done" if place < here else at_here if place == here else "open")
        for place, one in enumerate(STAGES)
    ]


def part_done(job: TrainingJob) -> float | None:
    """Share of the steps that are done; None before the first is known."""
    if job.status is JobStatus.COMPLETED:
        return 1.0
    if job.current_step is None or not job.total_steps:
        return None
    return min(1.0, job.current_step / job.total_steps)


def time_left(job: TrainingJob, now: datetime) -> TimeLeft | None:
    """What the worker says of its steps, and the plan of what comes after; None where neither is known."""
    if job.status.is_terminal or job.status not in STAGES:
        return None
    phases = _expected_phases(job)
    here = STAGES.index(job.status)
    later = [phases.get(one) for one in STAGES[here + 1 :] if one is not JobStatus.COMPLETED]
    told = None if job.metrics is None else job.metrics.seconds_left
    if job.status is JobStatus.TRAINING and told is not None:
        current: float | None = told
    elif (expected := phases.get(job.status)) is not None:
        current = max(0.0, expected - (now - job.status_changed_at).total_seconds())
    else:
        current = 0.0 if job.status is JobStatus.QUEUED and phases else None
    if current is None:
        return None
    known = [seconds for seconds in later if seconds is not None]
    return TimeLeft(current + sum(known), to_the_end=bool(phases) and len(known) == len(later))


def _expected_phases(job: TrainingJob) -> dict[JobStatus, float]:
    """Seconds of each phase as they were planned; a plan of an older version has none."""
    phases = {} if job.plan is None else job.plan.phases
    return {JobStatus(name): planned.expected_seconds for name, planned in phases.items()}


def money_of(session: Session, job: TrainingJob, now: datetime) -> JobMoney:
    """Spent by lease time × price, expected as it was planned."""
    spent = spending.costs_so_far(session, [job.id], now=now)[job.id]
    planned = None if job.plan is None else job.plan.cost
    band = None if planned is None else (planned.low_usd, planned.high_usd)
    return JobMoney(
        spent=job.actual_cost_usd if job.actual_cost_usd is not None else spent,
        expected=job.estimated_cost_usd,
        band=band if job.estimated_cost_usd is not None else None,
        cap=cap_of(job),
    )


def _downloads(files: Sequence[ModelArtifact]) -> Downloads | None:
    if not files:
        return None
    bundle = [file for file in files if file.name.startswith(ADAPTER)]
    weights = next((file for file in bundle if file.name == f"{ADAPTER}adapter_model.safetensors"), None)
    return Downloads(sum(file.file_size_bytes for file in bundle), weights, files)
