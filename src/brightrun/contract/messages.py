"""What studio and worker say to each other over HTTP. Both sides import these; golden files hold their shape.

An attempt's lines are numbered from 1 without gaps in every message, whatever the worker's own file calls them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_serializer, field_validator
from pydantic import model_validator as checked

from brightrun.contract.event_data import StepData
from brightrun.contract.events import Event, StepEvent
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.states import EndReason, JobStatus

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_FILE_NAME = re.compile(r"(data|work)(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}){1,6}")
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Lenient(BaseModel):
    """Read by an older version than wrote it: what it does not know it passes over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class StartFile(_Strict):
    """A file the job needs in its folder: prepared data, or a checkpoint to go on from."""

    name: str = Field(description="Path in the run's folder, under data/ or work/, with forward slashes.")
    sha256: Digest
    bytes: int = Field(ge=0)
    url: str | None = Field(
        None, pattern=r"^https?://", description="Where to fetch it; absent: it lies there already."
    )

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str) -> str:
        if not _FILE_NAME.fullmatch(name):
            raise ValueError("must be a plain path under data/ or work/")
        return name


class StartRequest(_Strict):
    """`POST /training/start`. The same job and attempt may be sent any number of times."""

    spec: JobSpec
    attempt: int = Field(ge=1, description="The studio's number of this machine's try, counting up.")
    resume: bool = Field(False, description="Go on from the checkpoints in the folder; otherwise they are removed.")
    files: tuple[StartFile, ...] = ()
    webhook_url: str | None = Field(None, pattern=r"^https?://", description="Where the event log is pushed to.")
    webhook_secret: SecretStr | None = Field(None, description="This job's own secret; needed with webhook_url.")
    deadline: AwareDatetime | None = Field(None, description="The run is ended then, reason time_limit.")
    max_cost_usd: Decimal | None = Field(None, ge=0, description="Cap for this attempt, reason budget_reached.")
    price_usd_per_hour: Decimal | None = Field(None, ge=0)
    paid_since: AwareDatetime | None = Field(None, description="Since when the machine costs; absent: since the start.")

    @checked(mode="after")
    def _whole(self) -> StartRequest:
        if not JOB_ID.fullmatch(self.spec.job_id):
            raise ValueError("spec.job_id must be 1 to 100 letters, digits, - or _")
        if self.webhook_url is not None and self.webhook_secret is None:
            raise ValueError("webhook_url needs webhook_secret")
        if self.max_cost_usd is not None and self.price_usd_per_hour is None:
            raise ValueError("max_cost_usd needs price_usd_per_hour")
        return self

    @field_serializer("webhook_secret", when_used="json-unless-none")
    def _reveal(self, secret: SecretStr) -> str:
        """JSON is what goes over the wire; `repr` and Python dumps stay masked."""
        return secret.get_secret_value()


class StopRequest(_Strict):
    """`POST /training/stop/{job_id}`."""

    export: bool = Field(False, description="Also make an adapter of the last whole checkpoint, marked as partial.")
    graceful_stop_reason: EndReason | None = Field(
        None,
        description="Let the run end its step, write a checkpoint and an adapter, and tell this reason.",
    )


class ArtifactFile(_Lenient):
    """A file that can be fetched from `/training/artifacts/{job_id}/{name}`."""

    name: str
    bytes: int = Field(ge=0)
    sha256: Digest


class CheckpointFiles(_Lenient):
    """The newest sealed checkpoint, for a machine that is to go on from it."""

    step: int
    files: tuple[ArtifactFile, ...]


class ArtifactsReply(_Lenient):
    """`GET /training/artifacts/{job_id}`."""

    job_id: str
    artifacts: tuple[ArtifactFile, ...]
    checkpoint: CheckpointFiles | None = None


class StatusReply(_Lenient):
    """`GET /training/status/{job_id}?after=N`, and what start and stop answer."""

    job_id: str
    attempt: int
    fingerprint: str = Field(description="JobSpec.fingerprint() of what really runs.")
    status: JobStatus
    alive: bool = Field(description="The training process lives, or its files are being fetched.")
    exporting: bool = False
    export_error: str | None = None
    events: tuple[Event, ...] = Field((), description="Numbered above `after`; at most 1,000, ask again for more.")
    last_sequence: int = Field(0, ge=0, description="Number of the attempt's newest line; 0: none yet.")
    artifacts: tuple[ArtifactFile, ...] = ()


class HealthReply(_Lenient):
    """`GET /health`."""

    ok: bool = True
    protocol: Literal["brightrun-worker-1"] = "brightrun-worker-1"
    device: str
    device_memory_bytes: int | None = Field(None, description="Of the accelerator; absent on a CPU.")
    memory_available_bytes: int
    disk_free_bytes: int
    versions: dict[str, str]
    running_job: str | None = None


class EventBatch(_Lenient):
    """The webhook's body: the specification's payload on the top level, about the newest line, and every new line.

    Without events it says only that the worker lives.
    """

    job_id: str
    attempt: int = Field(ge=1)
    worker: str = Field(description="Name of the machine.")
    sequence: int = Field(ge=0, description="Number of the newest line told; 0: there is none yet.")
    status: JobStatus
    step: int | None = None
    total_steps: int | None = None
    metrics: StepData = Field(default=StepData(), description="Data of the newest step among the events.")
    message: str | None = None
    reason: EndReason | None = None
    timestamp: AwareDatetime
    events: tuple[Event, ...] = ()

    @classmethod
    def telling(cls, job_id: str, attempt: int, worker: str, events: Sequence[Event]) -> EventBatch:
        """A batch of at least one event, in order."""
        newest = events[-1]
        steps = [event.data for event in events if isinstance(event, StepEvent)]
        return cls(
            job_id=job_id,
            attempt=attempt,
            worker=worker,
            sequence=newest.sequence,
            status=newest.status,
            step=next((event.step for event in reversed(events) if event.step is not None), None),
            total_steps=next((e.total_steps for e in reversed(events) if e.total_steps is not None), None),
            metrics=steps[-1] if steps else StepData(),
            message=newest.message,
            reason=newest.reason,
            timestamp=newest.timestamp,
            events=tuple(events),
        )

    @classmethod
    def alive(cls, job_id: str, attempt: int, worker: str, *, last: Event | None, at: datetime) -> EventBatch:
        """A sign of life; `last` is the newest line, told before."""
        status = JobStatus.PROVISIONING if last is None else last.status
        sequence = 0 if last is None else last.sequence
        return cls(job_id=job_id, attempt=attempt, worker=worker, sequence=sequence, status=status, timestamp=at)


class WebhookReply(BaseModel):
    """What the studio answers a batch with."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True)

    continue_: bool = Field(alias="continue", description="False: the worker stops the job.")
    acknowledged: int = Field(ge=0, description="Highest number of this attempt stored with none missing below it.")
    reason: str | None = None
    export_on_stop: bool = Field(False, description="Stopping, the worker ends its step and makes an adapter of it.")


class ErrorDetail(_Lenient):
    message: str
    type: str
    param: str | None = None
    code: str


class ErrorReply(_Lenient):
    """The body of every answer that is not a success."""

    error: ErrorDetail
