"""Jobs over HTTP: start, list, show, cancel, retry, and their curves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.compute import ComputeRequest
from brightrun.contract.states import JobStatus
from brightrun.contract.step_metrics import StepMetrics
from brightrun.database import jobs, metrics
from brightrun.database.job_list import JobOrder, OrderBy
from brightrun.database.tables import TrainingJob
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.ownership import owned
from brightrun.jobs.retry import retry_job
from brightrun.jobs.submit import JobRequest, submit_job
from brightrun.web.api.schemas import JobView, Listed
from brightrun.web.deps import PLAIN_JSON, After, Answer, CurrentPrincipal, JobId, Limit, StudioDep, Usd
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["jobs"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="The same key with the same body is the same job, however often it is sent.",
    ),
]
Find = Annotated[
    str | None,
    Query(max_length=200, description="Words in the job's name or its dataset's, or the beginning of its id."),
]
Direction = Annotated[Literal["asc", "desc"], Query(description="`desc`: the largest, newest or last first.")]


class Started(Answer):
    """A job that was accepted."""

    success: Literal[True] = True
    training_job_id: str
    status: JobStatus
    estimated_duration_minutes: float | None
    estimated_cost_usd: Usd | None

    @classmethod
    def of(cls, job: TrainingJob) -> Started:
        return cls(
            training_job_id=job.id,
            status=job.status,
            estimated_duration_minutes=None if job.estimated_seconds is None else job.estimated_seconds / 60,
            estimated_cost_usd=job.estimated_cost_usd,
        )


class Retry(BaseModel):
    """What is to be different this time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hyperparameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings to change; without any the new job goes on where the old one ended."
    )
    compute: ComputeRequest = Field(
        default_factory=ComputeRequest, description="Caps and machine to change; what is absent stays as it was."
    )


class Point(Answer, StepMetrics):
    """A step of a curve; losses in nats per trained token, what is unknown is null."""

    step: int
    recorded_at: datetime


class Curves(Answer):
    """A job's curves, thinned so that every spike stays."""

    object: Literal["training.metrics"] = "training.metrics"
    job_id: str
    train: list[Point]
    validation: list[Point]


@router.post("/start-job", dependencies=PLAIN_JSON, status_code=201, responses=declared(400, 401, 403, 404, 409, 413))
def start_job(
    studio: StudioDep,
    principal: CurrentPrincipal,
    request: JobRequest,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Started:
    """Plan a job and put it into the queue."""
    job = submit_job(studio, request, owner_id=principal.owner_id, idempotency_key=idempotency_key)
    response.headers["location"] = f"/api/training/jobs/{job.id}"
    return Started.of(job)


@router.get("/jobs", responses=declared(401, 403, 404))
def list_jobs(
    studio: StudioDep,
    principal: CurrentPrincipal,
    limit: Limit = 20,
    after: After = None,
    status: Annotated[list[JobStatus] | None, Query(description="Only jobs in these states.")] = None,
    find: Find = None,
    order: Annotated[OrderBy, Query(description="What is not known of a job puts it last.")] = "created",
    direction: Direction = "desc",
) -> Listed[JobView]:
    """Jobs, the newest first if nothing else is asked for."""
    sort = JobOrder(order, direction == "desc", studio.clock())
    with studio.database.reading() as session:
        page = jobs.list_page(
            session, owner_id=principal.owner_id, limit=limit, after=after, statuses=status, find=find, order=sort
        )
    return Listed(data=[JobView.of(row) for row in page.items], has_more=page.has_more)


@router.get("/jobs/{job_id}", responses=declared(401, 403, 404))
def show_job(studio: StudioDep, principal: CurrentPrincipal, job_id: JobId) -> JobView:
    """One job."""
    with studio.database.reading() as session:
        return JobView.of(owned(session, principal.owner_id, job_id))


@router.delete("/jobs/{job_id}", responses=declared(401, 403, 404, 409))
def cancel(
    studio: StudioDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    export_on_stop: Annotated[  # noqa: FBT002 passed by its name
        bool, Query(description="First have the run end its step and bring a partial adapter of it home.")
    ] = False,
) -> JobView:
    """Cancel a job; its machine ends right after. A job that is cancelled stays so; one that ended cannot be (409).

    With `export_on_stop`, the answer's `export_until` says until when an adapter is waited for.
    """
    return JobView.of(cancel_job(studio, owner_id=principal.owner_id, job_id=job_id, export_on_stop=export_on_stop))


@router.post(
    "/jobs/{job_id}/retry", dependencies=PLAIN_JSON, status_code=201, responses=declared(400, 401, 403, 404, 409, 413)
)
def retry(
    studio: StudioDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    request: Retry | None = None,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Try a failed or cancelled job again, as a new job (`retry_of` names the old one)."""
    retry_request = request or Retry()
    job = retry_job(
        studio, owner_id=principal.owner_id, job_id=job_id, hyperparameters=retry_request.hyperparameters,
        compute=retry_request.compute,
        idempotency_key=idempotency_key,
    )  # fmt: skip
    return JobView.of(job)


@router.get("/jobs/{job_id}/metrics", responses=declared(401, 403, 404))
def show_metrics(
    studio: StudioDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    points: Annotated[int, Query(ge=metrics.MIN_POINTS, le=2000, description="Longest curve.")] = 500,
    by: Annotated[
        metrics.Measure, Query(description="The measure whose spikes stay when a curve is thinned.")
    ] = "loss",
) -> Curves:
    """Loss and the like by step, while training and on what was kept for validation."""
    with studio.database.reading() as session:
        owned(session, principal.owner_id, job_id)
        train = metrics.series(session, job_id, "train", points, by=by)
        validation = metrics.series(session, job_id, "validation", points)
    return Curves(
        job_id=job_id,
        train=[Point.model_validate(point) for point in train],
        validation=[Point.model_validate(point) for point in validation],
    )
