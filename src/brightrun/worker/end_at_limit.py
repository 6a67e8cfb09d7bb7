"""How a run ends at a limit: an adapter of its last checkpoint is written, partial, then the event log's last line."""

from __future__ import annotations

from brightrun.contract.event_data import EndData, MessageData
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import BrightRunError
from brightrun.worker.event_log import EventLog

KEEPING = "keeping_adapter"
"""The code of the line that is written before: from here on the process trains no more."""


def end_at_limit(folder: RunFolder, event_log: EventLog, reason: EndReason) -> None:
    """Keep what can be kept and tell why the run ended; `kept_step` in the last line is absent where nothing was."""
    event_log.say("Writing an adapter of the last checkpoint.", MessageData(code=KEEPING))
    step, words = _keep(folder, event_log.total_steps)
    data = EndData(hint=reason.text.hint, code=reason.value, kept_step=step)
    event_log.end(JobStatus.FAILED, f"{reason.text.words} {words}", data, reason=reason)


def _keep(folder: RunFolder, total_steps: int | None) -> tuple[int | None, str]:
    from brightrun.worker.export import NothingToExport, write_partial

    try:
        step, _ = write_partial(folder, total_steps=total_steps)
    except NothingToExport:
        return None, "There is no adapter: the run had no checkpoint yet."
    except (BrightRunError, OSError) as error:
        return None, f"No adapter could be written: {error}"
    of = "" if total_steps is None else f" of {total_steps}"
    return step, f"An adapter of step {step}{of} was kept; nothing is proven by it."
