"""What was predicted beside what came true, one line a job: the band, the expected value, the actual one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brightrun.charts.axes import Scale, log_scale, scale
from brightrun.charts.primitives import (
    CHARACTER,
    FIRST,
    GRID,
    INK,
    TEXT,
    box,
    fill,
    frame,
    legend,
    marked,
    outlined,
    ruled,
    shortened,
    words,
)
from brightrun.format import counted

_LOGARITHMIC_FROM = 20.0  # times the smallest; less is readable on a straight scale
_ROW = 30.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A job's prediction with its band, and what came of it; None where that is not known."""

    name: str
    low: float
    expected: float
    high: float
    actual: float | None

    @property
    def held(self) -> bool | None:
        """Whether the actual value lies inside the band."""
        return None if self.actual is None else self.low <= self.actual <= self.high


def estimate_chart(
    jobs: Sequence[Estimate],
    *,
    chart_id: str,
    title: str,
    x_label: str,
    say: Callable[[float], str],
    width: int = 720,
) -> str:
    """A dot plot; on a scale of equal factors where the jobs differ by more than twenty times.

    Args:
        jobs: In the order of the lines, such as newest first.
        x_label: What is estimated, and the unit of the values.
        say: A value in words, such as `3 min 20 s` where the values are minutes.
        width: In pixels of its own; under 480 it draws for a phone, with the names above the lines.
    """
    key, top = legend(_legend(jobs), width)
    wide = width >= 480
    left = min(240.0, 16 + CHARACTER * max((len(job.name) for job in jobs), default=0)) if wide else 10.0
    right = width - (16 + CHARACTER * max((len(_actual(job, say)) for job in jobs), default=0) if wide else 24)
    row = _ROW if wide else _ROW + 20
    bottom = top + 10 + row * len(jobs)
    across = _across(jobs, left, right, ticks=6 if wide else 3)
    body = [key]
    for tick in across.ticks:
        body.append(ruled(across(tick), top + 6, across(tick), bottom, GRID))
        body.append(words(across(tick), bottom + 16, across.label(tick), anchor="middle"))
    for number, job in enumerate(jobs):
        body.append(_line(job, across, top + 10 + row * number, say, width))
    body.append(words((left + right) / 2, bottom + 36, x_label, anchor="middle"))
    return frame(chart_id, title, _said(jobs, say), width, bottom + 46, body)


def _legend(jobs: Sequence[Estimate]) -> list[tuple[str, str]]:
    entries = [("Predicted, low to high", "expected"), ("Expected", "middle"), ("Actual", "run-1")]
    return [*entries, ("Actual, outside the band", "outside")] if any(job.held is False for job in jobs) else entries


def _across(jobs: Sequence[Estimate], left: float, right: float, *, ticks: int) -> Scale:
    values = [value for job in jobs for value in (job.low, job.high, job.expected, job.actual) if value is not None]
    positive = [value for value in values if value > 0]
    if positive and len(positive) == len(values) and max(positive) > _LOGARITHMIC_FROM * min(positive):
        return log_scale(values, left, right, ticks=ticks)
    return scale([0.0, *values], left, right, ticks=ticks)


def _line(job: Estimate, across: Scale, y: float, say: Callable[[float], str], width: int) -> str:
    said = f"{job.name}: predicted {say(job.expected)} ({say(job.low)} to {say(job.high)}), {_actual(job, say)}"
    parts = []
    if width >= 480:
        middle = y + _ROW / 2
        parts.append(words(2, middle + 4, shortened(job.name, across.start - 14), anchor="start", title=job.name))
        parts.append(words(width - 2, middle + 4, _actual(job, say), anchor="end", color=INK))
    else:
        middle = y + _ROW / 2 + 18
        actual = _actual(job, say)
        name = shortened(job.name, width - 12 - CHARACTER * len(actual))
        parts.append(words(2, y + 14, name, anchor="start", title=job.name))
        parts.append(words(width - 2, y + 14, actual, anchor="end", color=INK))
    band = max(across(job.high) - across(job.low), 2.0)
    parts.append(box(across(job.low), middle - 7, band, 14, fill("expected"), title=said, corner=3))
    parts.append(ruled(across(job.expected), middle - 7, across(job.expected), middle + 7, TEXT, thick=2))
    if job.actual is not None:
        x = across(job.actual)
        parts.append(
            marked("circle", x, middle, FIRST, title=said) if job.held else outlined("diamond", x, middle, title=said)
        )
    return "".join(parts)


def _actual(job: Estimate, say: Callable[[float], str]) -> str:
    return "actual not known" if job.actual is None else f"actual {say(job.actual)}"


def _said(jobs: Sequence[Estimate], say: Callable[[float], str]) -> str:
    known = [job for job in jobs if job.held is not None]
    if not known:
        return "There is no job yet of which both the prediction and the actual value are known."
    held = sum(job.held is True for job in known)
    lines = "; ".join(
        f"{job.name}: predicted {say(job.expected)} ({say(job.low)} to {say(job.high)}), {_actual(job, say)}"
        for job in jobs
    )
    return f"For {held} of {counted(len(known), 'job')} the actual value lies inside the predicted band. {lines}."
