"""A job's latest figures, as they stand in its row and in the API."""

from __future__ import annotations

from typing import ClassVar

from brightrun.contract.event_data import StepData
from brightrun.contract.step_metrics import Number
from brightrun.contract.verdicts import Verdict


class JobMetrics(StepData):
    """Of the last step that is known, with the newest validation loss beside the untouched base's, and the verdict of
    a job that is completed.
    """

    kind: ClassVar[None] = None  # type: ignore[assignment]
    validation_loss: Number = None
    base_validation_loss: Number = None
    verdict: Verdict | None = None
    verdict_reason: str | None = None
