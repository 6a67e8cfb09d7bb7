"""Estimates beside actuals as a drawing, for the API and the pages: one line a job, the newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from brightrun.catalogue.dollars import usd
from brightrun.charts.estimates import Estimate, estimate_chart
from brightrun.format import about_text
from brightrun.planning.estimate_error import Figure, JobEstimateError

Quantity = Literal["duration", "training", "memory", "cost"]
MAX_LINES = 30
_LABELS: dict[Quantity, tuple[str, str, float]] = {
    # title, axis, and what the figures are divided by
    "duration": ("How long jobs took, and what was expected", "Minutes", 60.0),
    "training": ("How long training took, and what was expected", "Minutes", 60.0),
    "memory": ("Peak memory, and what was expected", "Gigabytes", 1e9),
    "cost": ("What jobs cost, and what was expected", "US dollars", 1.0),
}


def estimate_errors_chart(
    jobs: Sequence[JobEstimateError], quantity: Quantity, *, width: int = 720, chart_id: str | None = None
) -> str | None:
    """An SVG of the newest jobs that have the quantity; None where none has. `chart_id` is unlike others' of a page."""
    title, axis, unit = _LABELS[quantity]
    lines = [
        _line(job, figure, unit) for job in jobs if (figure := getattr(job, quantity)) is not None
    ][:MAX_LINES]  # fmt: skip
    if not lines:
        return None
    return estimate_chart(
        lines, chart_id=chart_id or f"accuracy-{quantity}", title=title, x_label=axis, say=_say(quantity), width=width
    )


def _line(job: JobEstimateError, figure: Figure, unit: float) -> Estimate:
    return Estimate(job.name, figure.low / unit, figure.estimate / unit, figure.high / unit, figure.actual / unit)


def _say(quantity: Quantity) -> Callable[[float], str]:
    if quantity == "memory":
        return lambda value: f"{value:.2f} GB"
    return usd if quantity == "cost" else _minutes


def _minutes(minutes: float) -> str:
    return about_text(minutes * 60)
