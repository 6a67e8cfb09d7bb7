"""One process's try at a run: one at a time, every ending told in the event log with its reason."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

from brightrun.contract.event_data import EndData
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import (
    AdapterCheckFailed,
    BrightRunError,
    DatasetError,
    ModelError,
    NotEnoughDisk,
    NotEnoughMemory,
)
from brightrun.worker.end_at_limit import end_at_limit
from brightrun.worker.event_log import EventLog
from brightrun.worker.limits import LimitReached
from brightrun.worker.run_lock import only_one

_REASONS: dict[type[BaseException], EndReason] = {
    DatasetError: EndReason.DATASET_REJECTED,
    ModelError: EndReason.MODEL_UNAVAILABLE,
    NotEnoughDisk: EndReason.DISK_FULL,
    NotEnoughMemory: EndReason.OUT_OF_MEMORY,
    MemoryError: EndReason.OUT_OF_MEMORY,
    AdapterCheckFailed: EndReason.ARTIFACT_UNVERIFIED,
    KeyboardInterrupt: EndReason.INTERRUPTED,
}
_DESCRIBED = {
    # torch and safetensors raise errors of no useful class when the system refuses them something.
    "can't allocate memory": EndReason.OUT_OF_MEMORY,  # torch on a CPU
    "No space left on device": EndReason.DISK_FULL,  # safetensors
    "inline_container.cc": EndReason.DISK_FULL,  # torch.save, which says no more than that writing failed
}


def run_attempt(root: Path, *, attempt: int | None = None) -> int:
    """Run the job in `root` and return the exit status; whatever ends it is the event log's last line.

    A finished run is left as it is.

    Raises:
        ContractError: there is no job in the folder.
        RunFolderError: another worker is running it.
    """
    folder = RunFolder(root)
    JobSpec.load(folder.spec)
    with only_one(folder):
        event_log = EventLog(folder.event_log, attempt=attempt)
        if event_log.status is JobStatus.COMPLETED:
            event_log.close()
            return 0
        try:
            from brightrun.worker.quiet import hush_libraries
            from brightrun.worker.run_job import run_job

            hush_libraries()
            try:
                run_job(folder, event_log)
            except LimitReached as limit:
                end_at_limit(folder, event_log, limit.reason)
                return 1
        except BaseException as error:  # noqa: BLE001 the worker's outermost call: one of the three broad excepts
            return _report_end(event_log, error)
        finally:
            event_log.close()
    return 0


def reason_for(error: BaseException) -> EndReason:
    """The closed list's word for what went wrong."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return EndReason.DISK_FULL
    if type(error).__name__ == "OutOfMemoryError":  # torch's own, named so that torch need not be imported
        return EndReason.OUT_OF_MEMORY
    typed = next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), None)
    told = next((reason for words, reason in _DESCRIBED.items() if words in str(error)), EndReason.INTERNAL)
    return typed or (EndReason.INTERNAL if isinstance(error, BrightRunError) else told)


def _report_end(event_log: EventLog, error: BaseException) -> int:
    if event_log.status is JobStatus.COMPLETED:
        # A studio may end the worker as soon as it reads "completed", while the worker tidies up: no events.
        return 0
    reason = reason_for(error)
    message, hint, code = reason.text.words, reason.text.hint, type(error).__name__
    if reason is EndReason.INTERNAL:
        message = str(error) or message
    details: dict[str, object] = {}
    if isinstance(error, BrightRunError):
        message, hint, code, details = error.message, error.hint, error.code, error.details
    elif isinstance(error, KeyboardInterrupt):
        message = "The run was interrupted; the same command goes on with it."
    trace = "" if isinstance(error, BrightRunError) else "".join(traceback.format_exception(error))
    data = EndData(hint=hint, code=code, details=details, trace=trace)
    event_log.end(JobStatus.FAILED, message, data, reason=reason)
    if isinstance(error, KeyboardInterrupt):
        return 130
    return error.exit_status if isinstance(error, BrightRunError) else 1
