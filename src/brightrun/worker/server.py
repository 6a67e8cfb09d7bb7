"""What a worker server does, without HTTP: starts, shows and stops jobs, one at a time. Never imports torch."""

from __future__ import annotations

import logging
import platform
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
from filelock import FileLock

from brightrun.contract.job_spec import JobSpec
from brightrun.contract.messages import JOB_ID, ArtifactsReply, HealthReply, StartRequest, StatusReply
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import BrightRunError, ContractError, NotEnoughDisk, RunFolderError
from brightrun.files import write_model
from brightrun.locks import take_lock
from brightrun.worker.device import describe_device
from brightrun.worker.event_log_reader import EventLogReader, Span
from brightrun.worker.fetch import check_files_here
from brightrun.worker.job_record import RECORD_NAME, JobRecord, RecordBook
from brightrun.worker.preflight import package_versions
from brightrun.worker.served_job import ServedJob
from brightrun.worker.supervise import GRACE

MAX_EVENTS = 1000
_ROOM_BYTES = 1 << 20  # for the spec, the record, and a journal that tells at least its end
_LAST_OUTPUT = timedelta(seconds=5)
_log = logging.getLogger(__name__)


class UnknownJob(ContractError):
    """This worker has no such job, attempt or file."""

    code = "not_found"


class WorkerBusy(ContractError):
    """The worker cannot take this start now, or not any more."""

    code = "worker_busy"
    default_hint = "Wait for the job that runs, or stop it first."


class WorkerServer:
    """Every job lies in `root/{job_id}`.

    Args:
        worker: Name of this machine, told in every webhook.
        only: The one job this server is for, where it was started for one.
        models: Folder of this machine's pulled models, where a job's base model is looked for by name and revision.
        transport: Stands in for the network towards the studio.
    """

    def __init__(
        self,
        root: Path,
        *,
        worker: str,
        only: str | None = None,
        models: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        grace: timedelta = GRACE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._root, self._worker, self._only, self._models = root, worker, only, models
        self._now, self._grace, self._transport = now, grace, transport
        self._jobs: dict[str, ServedJob] = {}
        self._locks: dict[str, FileLock] = {}
        self._lock = threading.Lock()
        self._device, self._device_memory = describe_device()
        self._versions = {"python": platform.python_version(), **package_versions()}

    def find_again(self) -> None:
        """Take up the jobs an earlier server left in the root; those of a server that lives are passed over."""
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in sorted(self._root.iterdir()):
            if self._only not in {None, folder.name} or not JOB_ID.fullmatch(folder.name):
                continue
            try:
                self._find_again(RunFolder(folder))
            except (BrightRunError, OSError) as error:
                _log.warning("The job in %s is left alone: %s", folder.name, error)

    def _find_again(self, folder: RunFolder) -> None:
        if not (folder.root / RECORD_NAME).exists():
            return
        self._lock_folder(folder)
        record = JobRecord.load(folder.root)
        if record is not None:
            self._jobs[record.job_id] = job = self._serve(folder, record)
            job.find_again()

    def start(self, request: StartRequest) -> StatusReply:
        """Start a job, or show it where the same attempt was started before.

        Raises:
            WorkerBusy: another job runs, a later attempt was started, or the id belongs to another spec.
            FileMismatch: a file that should lie in the folder does not.
            NotEnoughDisk: not even how the job ends could be written down.
        """
        job_id = request.spec.job_id
        with self._lock:
            folder = RunFolder(self._root / job_id)
            job = self._jobs.get(job_id)
            self._refuse(request, folder, job)
            if job is not None and request.attempt == job.record.span.attempt:
                return self.status(job_id)
            folder.root.mkdir(parents=True, exist_ok=True)
            _require_room(folder)
            self._lock_folder(folder)
            check_files_here(folder.root, request.files)
            if job is not None:
                job.close()
            write_model(folder.spec, request.spec)
            past = job.record if job is not None else JobRecord.load(folder.root)
            complete = _is_complete(folder)
            record = _record(request, past, _begins_after(folder, complete=complete), self._now())
            if not complete:
                _clear(folder, resume=request.resume)
            self._jobs[job_id] = job = self._serve(folder, record)
            job.begin(request.files, complete=complete)
        return self.status(job_id)

    def status(self, job_id: str, *, after: int = 0, attempt: int | None = None) -> StatusReply:
        """Where a job stands, and its lines above `after`; of an earlier attempt where one is named.

        Raises:
            UnknownJob
        """
        job = self._job(job_id)
        alive, newest = job.alive, job.tail.count()  # in this order: an end that is told is seen
        span, until = _lines_of(job.record, attempt, newest)
        last = job.tail.read(after=until - 1, limit=1) if until > span.begins_after else []
        position = min(span.begins_after + after, until)
        events = job.tail.read(after=position, limit=min(MAX_EVENTS, until - position))
        return StatusReply(
            job_id=job_id,
            attempt=span.attempt,
            fingerprint=job.fingerprint,
            status=last[0].status if last else JobStatus.PROVISIONING,
            alive=alive and span == job.record.span,
            exporting=job.exporting,
            export_error=job.export_error,
            events=tuple(span.told(event) for event in events),
            last_sequence=until - span.begins_after,
            artifacts=() if alive or job.exporting else job.files.artifacts(),
        )

    def stop(self, job_id: str, *, export: bool, graceful_stop_reason: EndReason | None = None) -> StatusReply:
        """End a job's process and keep its last checkpoint; with `export` an adapter is made of it afterwards.

        With `graceful_stop_reason` the run may end its step first, write a checkpoint and the adapter, and report it.

        Raises:
            UnknownJob
        """
        job = self._job(job_id)
        if graceful_stop_reason is not None:
            job.export_on_stop(graceful_stop_reason)
            return self.status(job_id)
        job.stop()
        if export:
            job.export()
        return self.status(job_id)

    def artifacts(self, job_id: str) -> ArtifactsReply:
        """What can be fetched; of a run that is not over only the newest checkpoint is listed."""
        job = self._job(job_id)
        listed = () if job.alive or job.exporting else job.files.artifacts()
        return ArtifactsReply(job_id=job_id, artifacts=listed, checkpoint=job.files.checkpoint())

    def artifact(self, job_id: str, name: str) -> Path:
        """Where a file that may be fetched lies.

        Raises:
            UnknownJob: there is no such job, or no such file to be had.
        """
        path = self._job(job_id).files.find(name)
        if path is None:
            raise UnknownJob("This job has no such file.")
        return path

    def health(self) -> HealthReply:
        running = next((job_id for job_id, job in list(self._jobs.items()) if job.alive), None)
        return HealthReply(
            device=self._device,
            device_memory_bytes=self._device_memory,
            memory_available_bytes=psutil.virtual_memory().available,
            disk_free_bytes=shutil.disk_usage(self._root).free,
            versions=self._versions,
            running_job=running,
        )

    def close(self) -> None:
        """End every process; the studio is told for at most some seconds."""
        for job in self._jobs.values():
            job.stop()
        until = time.monotonic() + _LAST_OUTPUT.total_seconds()
        for job in self._jobs.values():
            job.close(last_output=timedelta(seconds=max(until - time.monotonic(), 0)))
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()

    def _serve(self, folder: RunFolder, record: JobRecord) -> ServedJob:
        return ServedJob(
            folder,
            RecordBook(folder.root, record),
            worker=self._worker,
            models=self._models,
            now=self._now,
            grace=self._grace,
            transport=self._transport,
        )

    def _lock_folder(self, folder: RunFolder) -> None:
        """Lock a folder for this server; the lock ends with the process, however it ends."""
        name = folder.root.name
        if name in self._locks:
            return
        lock = take_lock(folder.root / ".server.lock")
        if lock is None:
            raise WorkerBusy(f"Another worker server has the job in {name}.")
        self._locks[name] = lock

    def _job(self, job_id: str) -> ServedJob:
        job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJob("This worker has no such job.")
        return job

    def _refuse(self, request: StartRequest, folder: RunFolder, job: ServedJob | None) -> None:
        job_id = request.spec.job_id
        if self._only not in {None, job_id}:
            raise WorkerBusy("This worker was started for another job.")
        if folder.spec.exists() and JobSpec.load(folder.spec).fingerprint() != request.spec.fingerprint():
            raise WorkerBusy("This job was started before with another spec.", hint="Use a new id for another job.")
        if job is not None and request.attempt < job.record.span.attempt:
            raise WorkerBusy(f"Attempt {job.record.span.attempt} of this job was started already.")
        if job is not None and job.exporting and request.attempt > job.record.span.attempt:
            raise WorkerBusy("An adapter is being made of this job's last checkpoint.")
        others = [other for other, served in self._jobs.items() if other != job_id and served.busy]
        if others:
            raise WorkerBusy("Another job runs on this worker.", details={"running_job": others[0]})


def _record(request: StartRequest, past: JobRecord | None, begins_after: int, now: datetime) -> JobRecord:
    spans = past.spans if past is not None else ()
    if spans and spans[-1].attempt >= request.attempt:
        raise RunFolderError(f"Attempt {spans[-1].attempt} of this job was started here already.")
    # A complete run is told anew to a later attempt, so earlier spans may not reach into it.
    kept = tuple(span for span in spans if span.begins_after < begins_after)
    return JobRecord(
        job_id=request.spec.job_id,
        spans=(*kept, Span(attempt=request.attempt, begins_after=begins_after)),
        acknowledged=min(past.acknowledged, begins_after) if past is not None else begins_after,
        webhook_url=request.webhook_url,
        webhook_secret=request.webhook_secret,
        started_at=now,
        deadline=request.deadline,
        max_cost_usd=request.max_cost_usd,
        price_usd_per_hour=request.price_usd_per_hour,
        paid_since=request.paid_since,
    )


def _require_room(folder: RunFolder) -> None:
    free = shutil.disk_usage(folder.root).free
    if free < _ROOM_BYTES:
        raise NotEnoughDisk(f"This machine's disk has {free:,} bytes free; a job's own records would not fit.")


def _is_complete(folder: RunFolder) -> bool:
    last = EventLogReader(folder.event_log).last()
    return last is not None and last.status is JobStatus.COMPLETED


def _begins_after(folder: RunFolder, *, complete: bool) -> int:
    """Where a new attempt's lines begin: at the journal's end, or with the attempt that completed the run."""
    tail = EventLogReader(folder.event_log)
    newest = tail.count()
    if not complete:
        return newest
    events = tail.read(after=0, limit=newest)
    return next(event.sequence for event in events if event.attempt == events[-1].attempt) - 1


def _clear(folder: RunFolder, *, resume: bool) -> None:
    """Take away what an earlier attempt left and this one must not be mistaken for."""
    for name in (folder.adapter, folder.comparison, folder.report):
        if name.is_dir():
            shutil.rmtree(name)
        else:
            name.unlink(missing_ok=True)
    if not resume:
        shutil.rmtree(folder.work, ignore_errors=True)


def _lines_of(record: JobRecord, attempt: int | None, newest: int) -> tuple[Span, int]:
    """The span of an attempt, and the number of its last line."""
    ends = [*(span.begins_after for span in record.spans[1:]), newest]
    for span, end in zip(record.spans, ends, strict=True):
        if span.attempt == (record.span.attempt if attempt is None else attempt):
            return span, max(end, span.begins_after)
    raise UnknownJob("This worker has no such attempt.")
