"""Whether a run may go on: what it may cost, until when, and whether it was asked to stop. Knows no training."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from brightrun.contract.states import EndReason
from brightrun.errors import BrightRunError
from brightrun.worker.job_record import RECORD_NAME, JobRecord


class LimitReached(BrightRunError):
    """The run has to be over now, by its cap, its deadline, or because it was asked to stop after its step."""

    code = "limit_reached"

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason.text.words, hint=reason.text.hint)
        self.reason = reason


class RunLimits:
    """The limits in a run's folder, as its server last wrote them; a run that no server started has none.

    The file is read again when it has changed, so that asking after every step costs one look at it.

    Args:
        reserve: What is kept back for the end: the machine is paid while the adapter is written and brought home, too.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        reserve: timedelta = timedelta(0),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder, self._reserve, self._now = folder, reserve, now
        self._seen: tuple[int, int] | None = None
        self._record: JobRecord | None = None

    def reached(self, *, ahead: timedelta = timedelta(0)) -> EndReason | None:
        """Why the run may not go on for `ahead` longer, if it may not."""
        record = self._newest()
        limit = None if record is None else record.limit()
        over_at = self._now() + ahead + self._reserve
        return None if limit is None or over_at < limit.at else limit.reason

    def check(self) -> None:
        """Raise LimitReached where the run may not go on."""
        if (reason := self.reached()) is not None:
            raise LimitReached(reason)

    def _newest(self) -> JobRecord | None:
        if self._folder is None:
            return None
        try:
            facts = (self._folder / RECORD_NAME).stat()
        except FileNotFoundError:
            return None
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen != self._seen:
            self._record, self._seen = JobRecord.load(self._folder), seen
        return self._record


def time_to_end(adapter_parameters: int) -> timedelta:
    """What a run keeps back of its money and time to end well: a checkpoint, an adapter of it, and that brought home.

    Five seconds, and the bytes (a checkpoint is written and read in fp32 with two moments, an adapter sent in bf16: 26
    bytes a parameter) at 100 MB/s. Assumed; a slower disk or line lets the machine cost that much more.
    """
    return timedelta(seconds=5 + 26 * adapter_parameters / 100e6)
