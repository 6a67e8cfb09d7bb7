"""Figures, times and sizes as people read them. Decides nothing and knows no other room."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def loss_text(loss: float) -> str:
    return f"{loss:.3f}"


def direction(change: float) -> str:
    """`12.3 % lower`, `0.4 % higher` or `unchanged`, of a relative change."""
    if change == 0:
        return "unchanged"
    size = abs(change) * 100
    amount = "less than 0.1 %" if size < 0.05 else f"{size:.1f} %"
    return f"{amount} {'lower' if change < 0 else 'higher'}"


def span(low: float, high: float) -> str:
    """Both ends of an interval of relative change, the end nearer to no change first where both agree."""
    near, far = (high, low) if high <= 0 else (low, high)
    start, end = direction(near), direction(far)
    side = end.rsplit(" ", 1)[-1]
    return f"from {start.removesuffix(f' {side}')} to {end}"


def signed_percent(change: float) -> str:
    """`−12.3 %`, with a real minus sign."""
    text = f"{change * 100:+.1f} %"
    return ("0.0 %" if float(text[:-2]) == 0 else text).replace("-", "−")


def points_text(change: float) -> str:
    """`−1.6`: the change of a share in percentage points, with a real minus sign."""
    return signed_percent(change).removesuffix(" %")


def counted(number: int, noun: str) -> str:
    """`1 answer`, `1,240 answers`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration_text(seconds: float) -> str:
    """A time that was measured or is a limit: `4.2 s`, `48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def about_text(seconds: float) -> str:
    """A time that is an estimate, no more exact than it is: `45 s`, `12 min`, `3 h 20 min`, `52 h`."""
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 3000 else f"{round(minutes / 60)} h"


def band_text(low: float, high: float) -> str:
    """`20 to 43 min`, `45 s to 2 min`: both ends, the unit once where it is the same."""
    first, last = about_text(low), about_text(high)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    return f"{number} to {last}" if last.partition(" ")[2] == unit else f"{first} to {last}"


def bytes_text(size: int) -> str:
    """`512 B`, `93.1 MiB`, `71.4 GiB`."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError


def number_text(number: float) -> str:
    """`12,345`, `0.0002`, `1.25e-08`: exact enough to copy."""
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:.4g}"


def time_text(moment: datetime) -> str:
    """`4 December 2025, 14:05 UTC`; without the zone where it is not known."""
    zone = moment.strftime("%Z")
    return f"{moment.day} {moment:%B %Y, %H:%M}{' ' + zone if zone else ''}"


def label_text(label: str) -> str:
    """`anxious planner` for the key `anxious_planner`; names stay as they are."""
    return label if " " in label else label.replace("_", " ")


def spoken_value(value: Any) -> str:
    """A hyperparameter as people read it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def possessive(name: str) -> str:
    """Whose it is: `Elena's`, `James'`."""
    return f"{name}'" if name.endswith(("s", "S")) else f"{name}'s"
