"""Which charts a run's report has and what they say in words; others draw them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from brightrun.charts.bars import Pair, bar_pairs
from brightrun.charts.curves import Point, finite, thin
from brightrun.charts.lines import Mark, Series, line_chart
from brightrun.charts.run_charts import WIDTHS, training_series
from brightrun.evaluation.comparison import UNLABELLED, LossChange
from brightrun.evaluation.run_report import RunReport
from brightrun.format import counted, label_text, loss_text

MAX_GROUPS = 12
_MAX_POINTS = 600


def loss_chart(report: RunReport) -> dict[str, str]:
    """Training and validation loss over the steps, drawn for a wide and for a narrow page."""
    training = finite([(point.step, point.loss) for point in report.training])
    validation = finite([(point.step, point.loss) for point in report.validation])
    curves = [
        *training_series("Training loss", training, smoothed=True),
        Series(_titled("Validation loss", validation), validation, "marked"),
    ]
    series = [Series(curve.name, thin(curve.points, _MAX_POINTS), curve.kind) for curve in curves]
    description = f"{_journey('Training loss', training)} {_journey('Validation loss', validation)}"
    draw = partial(
        line_chart,
        series,
        title="Training and validation loss by step",
        description=description,
        x_label="Step",
        y_label="Loss (nats per trained token)",
        marks=[Mark(report.kept_step, f"kept: step {report.kept_step:,}")] if report.kept == "best" else [],
    )
    return {name: draw(chart_id=f"loss-{name}", width=width) for name, width in WIDTHS.items()}


def group_chart(name: str, changes: Mapping[str, LossChange]) -> dict[str, str] | None:
    """Validation loss before and after by group, the largest groups where there are many.

    Returns:
        A wide and a narrow drawing; None where no answer carries a label.
    """
    if set(changes) <= {UNLABELLED}:
        return None
    largest = sorted(changes.items(), key=lambda item: -item[1].answers)[:MAX_GROUPS]
    shown = {label for label, _ in largest}
    pairs = [
        Pair(label_text(label), change.base_loss, change.tuned_loss, change.answers)
        for label, change in changes.items()
        if label in shown
    ]
    said = "; ".join(
        f"{p.label}: {loss_text(p.before)} to {loss_text(p.after)} on {counted(p.count, 'answer')}" for p in pairs
    )
    draw = partial(
        bar_pairs,
        pairs,
        title=f"Validation loss by {name}, base and tuned",
        description=f"{said}.",
        names=("Base model", "Tuned model"),
        count_noun="answer",
        x_label="Loss (nats per trained token), lower is better",
    )
    return {size: draw(chart_id=f"{name}-{size}", width=width) for size, width in WIDTHS.items()}


def _known(points: list[Point]) -> list[tuple[float, float]]:
    return [(step, loss) for step, loss in points if loss is not None]


def _titled(name: str, points: list[Point]) -> str:
    known = _known(points)
    return f"{name} ({loss_text(known[0][1])} → {loss_text(known[-1][1])})" if len(known) > 1 else name


def _journey(name: str, points: list[Point]) -> str:
    known = _known(points)
    if not known:
        return f"{name} was not recorded."
    (first_step, first), (last_step, last) = known[0], known[-1]
    lowest_step, lowest = min(known, key=lambda point: point[1])
    return (
        f"{name} went from {loss_text(first)} at step {first_step:g} to {loss_text(last)} "
        f"at step {last_step:g}; its lowest was {loss_text(lowest)} at step {lowest_step:g}."
    )
