"""The curves of a job that may still go on, and of several jobs laid over each other. Draws with lines.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from brightrun.charts.curves import Point, finite, smooth
from brightrun.charts.lines import RUN_KINDS, ChartStyle, Mark, Series, line_chart
from brightrun.contract.step_metrics import SHOWN, Shown
from brightrun.errors import InputError
from brightrun.format import counted, number_text

WIDTHS = {"wide": 920, "narrow": 340}
WORTH_SMOOTHING = 12
MAX_POINTS = 240
"""What a curve is thinned to where it is read, once for both widths: lowest and highest of every few pixels."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something measured at every step: its name in StepMetrics, and how it is shown."""

    name: str
    shown: Shown

    @property
    def label(self) -> str:
        return self.shown.label


MEASURES = {name: Measure(name, shown) for name, shown in SHOWN.items()}


@dataclass(frozen=True, slots=True)
class ChartedRun:
    """A job among others: its name, and (step, value) in order of steps."""

    name: str
    points: Sequence[Point]


def measure_chart(
    measure: Measure,
    training: Sequence[Point],
    validation: Sequence[Point] = (),
    *,
    chart_id: str,
    total_steps: int | None = None,
    marks: Sequence[Mark] = (),
) -> dict[str, str]:
    """One measure of one job, for a wide and for a narrow page, with numbers for the page's script.

    Args:
        training: (step, recorded value) in order of steps, not more than are to be drawn; None is a gap.
        validation: Of the loss alone.
        total_steps: Where the run will end; the axis reaches there while it goes on.
    """
    steps, measured = _scaled(training, measure), _scaled(validation, measure)
    name = "Training loss" if measure.name == "loss" else measure.label
    series = training_series(name, steps, smoothed=measure.shown.smoothed, even=measure.shown.logarithmic)
    series += [Series("Validation loss", measured, "marked")] if measured else []
    said = _progress(steps, total_steps) + "".join(f" {_journey(one.name, one.points)}" for one in series)
    draw = partial(
        line_chart, series, title=f"{measure.label} by step", description=said, x_label="Step",
        y_label=measure.shown.axis, marks=marks,
    )  # fmt: skip
    return _drawn(draw, chart_id, measure, total_steps)


def overlay_chart(measure: Measure, runs: Sequence[ChartedRun], *, chart_id: str, what: str = "") -> dict[str, str]:
    """One measure of two to four jobs, told apart by dash and marker as well as by color.

    Args:
        what: What the curves are where it is not the measure's name, such as "Validation loss".

    Raises:
        InputError: fewer than two runs, or more than four.
    """
    if not 2 <= len(runs) <= len(RUN_KINDS):
        raise InputError(
            f"{counted(len(runs), 'run')} cannot be laid over each other.", hint="Choose two to four runs."
        )
    what = what or measure.label
    series = []
    for run, kind in zip(runs, RUN_KINDS, strict=False):
        points = _scaled(run.points, measure)
        worth = measure.shown.smoothed and len(points) >= 4 * WORTH_SMOOTHING
        series.append(Series(run.name, smooth(points) if worth else points, kind))
    said = " ".join(_journey(one.name, one.points) for one in series)
    draw = partial(
        line_chart, series, title=f"{what} by step of {counted(len(runs), 'run')}", description=said, x_label="Step",
        y_label=measure.shown.axis,
    )  # fmt: skip
    return _drawn(draw, chart_id, measure, None)


def training_series(name: str, points: list[Point], *, smoothed: bool, even: bool = False) -> list[Series]:
    """Each step faintly and the trend over it, where there is enough of a curve for that.

    Args:
        even: The trend is the mean of logarithms, as fits an axis of equal factors.
    """
    if not smoothed or sum(value is not None for _, value in points) < WORTH_SMOOTHING:
        return [Series(name, points, "line")]
    trend = _smooth_factors(points) if even else smooth(points)
    return [Series(f"{name}, each step", points, "faint"), Series(f"{name}, smoothed", trend, "line")]


def _smooth_factors(points: Sequence[Point]) -> list[Point]:
    logarithms = [(step, math.log(value) if value is not None and value > 0 else None) for step, value in points]
    return [(step, None if value is None else math.exp(value)) for step, value in smooth(logarithms)]


def _drawn(draw: Callable[..., str], chart_id: str, measure: Measure, x_end: int | None) -> dict[str, str]:
    return {
        size: draw(
            chart_id=f"{chart_id}-{size}",
            width=width,
            style=ChartStyle(
                x_end=x_end,
                logarithmic=measure.shown.logarithmic,
                from_zero=measure.shown.from_zero,
                hover=True,
            ),
        )
        for size, width in WIDTHS.items()
    }


def _scaled(points: Sequence[Point], measure: Measure) -> list[Point]:
    return [(step, None if value is None else value / measure.shown.divisor) for step, value in finite(points)]


def _progress(points: Sequence[Point], total_steps: int | None) -> str:
    if not points:
        return "No step is done yet."
    last = points[-1][0]
    return f"{last:,.0f} of {total_steps:,} steps." if total_steps is not None else f"Up to step {last:,.0f}."


def _journey(name: str, points: Sequence[Point]) -> str:
    known = [(step, value) for step, value in points if value is not None]
    if not known:
        return f"{name} was not recorded."
    (first_step, first), (last_step, last) = known[0], known[-1]
    if len(known) == 1:
        return f"{name} was {number_text(first)} at step {first_step:,.0f}."
    return (
        f"{name} went from {number_text(first)} at step {first_step:,.0f} to {number_text(last)} "
        f"at step {last_step:,.0f}, between {number_text(min(v for _, v in known))} "
        f"and {number_text(max(v for _, v in known))}."
    )
