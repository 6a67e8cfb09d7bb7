"""What is measured at a step. The metrics table, its CSV, the API's points and the charts are made of these fields."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

_GIB = float(1 << 30)


@dataclass(frozen=True, slots=True)
class Shown:
    """How a chart shows a measure.

    Attributes:
        label: As a tab or a heading.
        axis: With the unit it is shown in.
        divisor: Recorded values are this many times larger than shown ones.
        logarithmic: Drawn so that equal factors are equally high.
        from_zero: Drawn over zero.
        smoothed: It jumps from step to step, so a trend is drawn over it.
    """

    label: str
    axis: str
    divisor: float = 1.0
    logarithmic: bool = False
    from_zero: bool = False
    smoothed: bool = False


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


Number = Annotated[float | None, AfterValidator(_known)]
"""A float that JSON can carry: one that is infinite or no number counts as not known."""


class StepMetrics(BaseModel):
    """What is known of one step; None: not known, which is never the same as zero.

    `loss` is in nats per trained token, `memory_bytes` the peak so far, `epoch` the passes over the data until then.
    A new field becomes a column of training_metrics_history (write its migration), a cell of the CSV and a field of the
    API's points; with a `Shown` it is charted, too.
    """

    model_config = ConfigDict(frozen=True)

    epoch: Number = None
    loss: Annotated[Number, Shown("Loss", "Loss (nats per trained token)", smoothed=True)] = None
    learning_rate: Annotated[Number, Shown("Learning rate", "Learning rate", from_zero=True)] = None
    grad_norm: Annotated[Number, Shown("Gradient norm", "Gradient norm", logarithmic=True, smoothed=True)] = None
    tokens_per_second: Annotated[
        Number, Shown("Tokens per second", "Tokens per second", from_zero=True, smoothed=True)
    ] = None
    memory_bytes: Annotated[int | None, Shown("Memory", "Memory in use (GiB)", divisor=_GIB, from_zero=True)] = None


STEP_METRICS = tuple(StepMetrics.model_fields)
"""The names of everything that is measured at a step, in the order in which tables and files show them."""

SHOWN: dict[str, Shown] = {
    name: mark for name, field in StepMetrics.model_fields.items() for mark in field.metadata if isinstance(mark, Shown)
}
"""The measures that charts show, by name."""
