"""Where numbers fall on paper: round tick values, straight and logarithmic scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from values to pixels, with the values to label; `logarithmic` holds values above zero only."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def label(self, value: float) -> str:
        """The tick's text, with as many decimals as tell neighbours apart."""
        if self.logarithmic:
            return f"{value:,.0f}" if 1000 <= value < 1e9 else f"{value:g}"
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        decimals = max(0, min(9, math.ceil(-math.log10(step) - 1e-9)))
        if not math.isclose(round(step, decimals), step, rel_tol=1e-6):
            decimals += 1
        return f"{value + 0.0:,.{decimals}f}"


def scale(values: Sequence[float], start: float, end: float, *, ticks: int, whole: bool = False) -> Scale:
    """A scale that begins and ends on round values around these.

    Args:
        values: Finite values to hold; none at all gives 0 to 1.
        start: Pixel of the lowest value; end: of the highest.
        ticks: About how many labels there is room for.
        whole: For counted things such as steps: whole ticks, and the scale ends with the values.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        room = 1.0 if whole else max(abs(low) * 0.1, 0.05)
        low, high = low - room, high + room
    step = nice_step((high - low) / max(1, ticks))
    if whole:
        step = max(1.0, round(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = tuple(number * step for number in range(first, last + 1))
    if whole:
        return Scale(low, high, start, end, tuple(mark for mark in marks if low <= mark <= high))
    return Scale(marks[0], marks[-1], start, end, marks)


def log_scale(values: Sequence[float], start: float, end: float, *, ticks: int) -> Scale:
    """A scale on which equal factors are equally long: 1, 2 and 5 times powers of ten, or the powers alone.

    Args:
        values: Those above zero are held; where there is none it is the straight scale of none.
        start: Pixel of the lowest value; end: of the highest.
        ticks: About how many labels there is room for.
    """
    held = [value for value in values if value > 0]
    if not held:
        return scale([], start, end, ticks=ticks)
    for factors in ((1.0, 2.0, 5.0), (1.0, 5.0), (1.0,)):
        marks = _log_marks(min(held), max(held), factors)
        if len(marks) <= ticks + 1:
            break
    labelled = marks[:: math.ceil((len(marks) - 1) / ticks)]
    return Scale(marks[0], marks[-1], start, end, labelled, logarithmic=True)


def _log_marks(low: float, high: float, factors: Sequence[float]) -> tuple[float, ...]:
    """From the last mark at or below the lowest value to the first at or above the highest, at least two."""
    powers = range(math.floor(math.log10(low) + 1e-9), math.floor(math.log10(high) + 1e-9) + 2)
    candidates = [float(f"{factor:g}e{power}") for power in powers for factor in factors]
    first = max((mark for mark in candidates if mark <= low * (1 + 1e-9)), default=candidates[0])
    last = min(mark for mark in candidates if mark >= high * (1 - 1e-9) and mark > first)
    return tuple(mark for mark in candidates if first <= mark <= last)


def nice_step(rough: float) -> float:
    """The next larger of 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1.0, 2.0, 2.5, 5.0):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10.0 * power
