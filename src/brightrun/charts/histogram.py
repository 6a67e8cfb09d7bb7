"""How many of what size: counts in bins of round widths, with a mark at the size that is still allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.charts.axes import scale
from brightrun.charts.primitives import (
    CHARACTER,
    GRID,
    INK,
    TEXT,
    box,
    fill,
    frame,
    legend,
    ruled,
    words,
)
from brightrun.format import counted


@dataclass(frozen=True, slots=True)
class Bin:
    """So many whole values from `low` to `high`, both included."""

    low: int
    high: int
    count: int


def histogram(
    counts: Sequence[Bin],
    *,
    chart_id: str,
    title: str,
    x_label: str,
    noun: str,
    limit: int | None = None,
    limit_label: str = "limit",
    width: int = 720,
) -> str:
    """Bars from zero; those above the limit are red with a thick edge.

    Args:
        counts: In order of size.
        noun: What was counted, in the singular.
        limit: The largest value that is allowed; absent where there is none.
        width: In pixels of its own; under 480 it draws for a phone.
    """
    height = 300 if width >= 480 else 260
    over = sum(one.count for one in counts if limit is not None and one.low > limit)
    key, top = legend([(f"Over the {limit_label}", "over")], width) if over else ("", 4.0)
    down = scale([0, *(one.count for one in counts)], height - 46, top + 34, ticks=4, whole=True)
    left = 24 + CHARACTER * max(len(down.label(tick)) for tick in down.ticks)
    edges = [float(edge) for one in counts for edge in (one.low, one.high + 1)] + ([] if limit is None else [limit])
    across = scale(edges, left, width - 24, ticks=8 if width >= 480 else 4, whole=True)
    body = [key, words(2, top + 16, f"{noun.capitalize()}s", anchor="start")]
    for tick in down.ticks:
        body.append(ruled(left, down(tick), across.end, down(tick), GRID))
        body.append(words(left - 8, down(tick) + 4, down.label(tick), anchor="end"))
    for one in counts:
        if one.count:
            look = fill("over" if limit is not None and one.low > limit else "after")
            x, y = across(one.low), down(one.count)
            wide = max(across(one.high + 1) - x - 1.5, 1.0)
            said = f"{one.low:,} to {one.high:,}: {counted(one.count, noun)}"
            body.append(box(x + 0.75, y, wide, down.start - y, look, title=said, corner=1))
    body.append(ruled(left, down.start, across.end, down.start, TEXT))
    body += [words(across(tick), down.start + 18, across.label(tick), anchor="middle") for tick in across.ticks]
    body.append(words((left + across.end) / 2, down.start + 38, x_label, anchor="middle"))
    if limit is not None:
        x, left_half = across(limit), across(limit) < (left + across.end) / 2
        label = f"{limit_label}: {limit:,}"
        body.append(ruled(x, down.start, x, down.end - 8, INK, thick=2, dash="5 3"))
        anchor = "start" if left_half else "end"
        body.append(words(x + (5 if left_half else -5), down.end - 2, label, anchor=anchor, color=INK))
    return frame(chart_id, title, _said(counts, noun, limit, limit_label, over), width, height, body)


def _said(counts: Sequence[Bin], noun: str, limit: int | None, limit_label: str, over: int) -> str:
    total = sum(one.count for one in counts)
    if not total:
        return f"There is no {noun}."
    fullest = max(counts, key=lambda one: one.count)
    text = (
        f"{counted(total, noun)}, from {counts[0].low:,} to {counts[-1].high:,}; "
        f"most often {fullest.low:,} to {fullest.high:,} ({fullest.count:,})."
    )
    if limit is None:
        return text
    return f"{text} The {limit_label} is {limit:,}: {f'{over:,} above it' if over else 'none is above it'}."
