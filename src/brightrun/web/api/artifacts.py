"""A job's files over HTTP: the list, a link to each, and the whole adapter as one zip."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import RedirectResponse, StreamingResponse

from brightrun.contract.states import JobStatus
from brightrun.database import artifacts
from brightrun.database.tables import TrainingJob
from brightrun.errors import Conflict, NotFound, StoredFileMissing
from brightrun.jobs.ownership import owned
from brightrun.plain_text import file_stem
from brightrun.web.api.schemas import ArtifactView, Listed
from brightrun.web.deps import CurrentPrincipal, JobId, OptionsDep, StudioDep
from brightrun.web.problems import declared
from brightrun.web.stored_files import attachment
from brightrun.web.zip_stream import Member, stream_zip

router = APIRouter(prefix="/api/training/jobs/{job_id}", tags=["artifacts"])
ADAPTER = "adapter/"
_ZIP = "application/zip"

Name = Annotated[
    str, Path(pattern=r"^[^\x00-\x1f\x7f]{1,255}$", description="The artifact's name; it may have slashes.")
]


@router.get("/artifacts", responses=declared(401, 403, 404))
def list_artifacts(studio: StudioDep, principal: CurrentPrincipal, job_id: JobId) -> Listed[ArtifactView]:
    """Every file of a job, by name."""
    with studio.database.reading() as session:
        owned(session, principal.owner_id, job_id)
        rows = artifacts.list_for_job(session, job_id)
    return Listed(data=[ArtifactView.of(row) for row in rows], has_more=False)


@router.get(
    "/artifacts/{name:path}",
    status_code=302,
    response_class=RedirectResponse,
    responses=declared(401, 403, 404) | {302: {"description": "`Location` is a link that is good for some minutes."}},
)
def get_artifact(
    studio: StudioDep, options: OptionsDep, principal: CurrentPrincipal, job_id: JobId, name: Name
) -> RedirectResponse:
    """A link to one file."""
    with studio.database.reading() as session:
        owned(session, principal.owner_id, job_id)
        row = artifacts.by_name(session, job_id, name)
    if row is None:
        raise NotFound(f"The job has no file {name}.")
    link = studio.storage.download_link(
        row.storage_path, expires=options.link_lifetime, file_name=row.name.rpartition("/")[2]
    )
    return RedirectResponse(link, 302)


@router.get(
    "/adapter.zip",
    response_class=StreamingResponse,
    responses=declared(401, 403, 404, 409)
    | {200: {"content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}}, "description": "The adapter."}},
)
def get_adapter(studio: StudioDep, principal: CurrentPrincipal, job_id: JobId) -> StreamingResponse:
    """The adapter with everything needed to load and to check it, as one zip. 409 until the job has completed.

    Of a job that ended early it is the one of its last checkpoint, where one was kept; the zip's name says partial.
    """
    with studio.database.reading() as session:
        job = owned(session, principal.owner_id, job_id)
        rows = [row for row in artifacts.list_for_job(session, job_id) if row.name.startswith(ADAPTER)]
    kept = job.status.is_terminal and job.lora_artifact_path is not None
    if not rows or not (kept or job.status is JobStatus.COMPLETED):
        raise Conflict(
            f"The job is {job.status.value}; it has no adapter.", hint=_no_adapter_hint(job),
            details={"status": job.status.value},
        )  # fmt: skip
    for row in rows:  # told now: once bytes are on their way, an error can only cut them off
        if studio.storage.stat(row.storage_path) is None:
            raise StoredFileMissing(f"{row.name} is no longer stored.")
    folder = file_stem(job.name, otherwise="adapter")
    if job.status is not JobStatus.COMPLETED:
        folder += "-unproven"
    members = [
        Member(
            f"{folder}/{row.name.removeprefix(ADAPTER)}", row.file_size_bytes, row.sha256,
            partial(studio.storage.open, row.storage_path),
        )
        for row in rows
    ]  # fmt: skip
    blocks = stream_zip(members, at=job.completed_at or job.created_at)
    return StreamingResponse(blocks, media_type=_ZIP, headers={"content-disposition": attachment(f"{folder}.zip")})


def _no_adapter_hint(job: TrainingJob) -> str:
    if job.export_until is not None:
        return "One of its last checkpoint is being downloaded; try again in a moment."
    if job.status.is_terminal:
        return "Retry the job; canceling one with export_on_stop keeps what it has learned."
    return "Wait until it has completed."
