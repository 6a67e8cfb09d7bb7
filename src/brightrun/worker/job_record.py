"""What a worker server writes down of a job, so that a server started after its death finds the job again."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError, field_serializer

from brightrun.contract.states import EndReason
from brightrun.errors import ContractError
from brightrun.worker.event_log_reader import Span

RECORD_NAME = ".worker.json"


class ProcessMark(BaseModel):
    """A process that cannot be mistaken for a later one with the same number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> ProcessMark | None:
        """The mark of a living process, or None where there is none of that number."""
        try:
            return cls(pid=pid, started_at=psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """The process, while it lives; one that is dead and not yet buried does not."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started_at) < 0.01
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class RunLimit(NamedTuple):
    """A moment at which a run has to be over, and why."""

    at: datetime
    reason: EndReason


class JobRecord(BaseModel):
    """`.worker.json` in a run's folder. It holds the job's own webhook secret, so only its owner may read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job_id: str
    spans: tuple[Span, ...]
    process: ProcessMark | None = None
    acknowledged: int = 0
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    started_at: AwareDatetime
    deadline: AwareDatetime | None = None
    max_cost_usd: Decimal | None = None
    price_usd_per_hour: Decimal | None = None
    paid_since: AwareDatetime | None = None
    ending_for: EndReason | None = None
    stop_after_step: EndReason | None = None
    asked_to_stop_at: AwareDatetime | None = None

    @field_serializer("webhook_secret", when_used="json-unless-none")
    def _reveal(self, secret: SecretStr) -> str:
        return secret.get_secret_value()

    @property
    def span(self) -> Span:
        """The current attempt's."""
        return self.spans[-1]

    def limit(self) -> RunLimit | None:
        """When the run has to be over, and why; the first of money, time and a wish that it stops. None: never."""
        limits = [RunLimit(self.deadline, EndReason.TIME_LIMIT)] if self.deadline is not None else []
        if self.max_cost_usd is not None and self.price_usd_per_hour:
            since = self.started_at if self.paid_since is None else self.paid_since
            affordable = timedelta(hours=float(self.max_cost_usd / self.price_usd_per_hour))
            limits.append(RunLimit(since + affordable, EndReason.BUDGET_REACHED))
        if self.asked_to_stop_at is not None:
            limits.append(RunLimit(self.asked_to_stop_at, self.stop_after_step or EndReason.INTERRUPTED))
        return min(limits, default=None, key=lambda limit: limit.at)

    def save(self, folder: Path) -> None:
        staging = folder / f"{RECORD_NAME}.partial"
        descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(self.model_dump_json(indent=2) + "\n")
            stream.flush()
            os.fsync(descriptor)
        staging.replace(folder / RECORD_NAME)

    @classmethod
    def load(cls, folder: Path) -> JobRecord | None:
        """The record in a folder, or None where no server has started a job there.

        Raises:
            ContractError: there is one, but not of this version.
        """
        try:
            return cls.model_validate_json((folder / RECORD_NAME).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ContractError(f"{folder.name}/{RECORD_NAME} is not a record of this version.") from error


class RecordBook:
    """A job's record, changed by several threads and on disk before anyone sees the change."""

    def __init__(self, folder: Path, record: JobRecord) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._record = record
        record.save(folder)

    @property
    def record(self) -> JobRecord:
        return self._record

    def change(self, **changes: Any) -> JobRecord:
        with self._lock:
            changed = self._record.model_copy(update=changes)
            if changed != self._record:
                changed.save(self._folder)
                self._record = changed
            return changed
