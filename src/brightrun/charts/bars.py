"""Pairs of bars, before and after, one pair a group, each with its value and the count behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.charts.axes import Scale, scale
from brightrun.charts.primitives import (
    CHARACTER,
    GRID,
    INK,
    TEXT,
    box,
    escaped,
    fill,
    frame,
    legend,
    pixels,
    ruled,
    shortened,
    words,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bars of one group and the number of measurements behind them."""

    label: str
    before: float
    after: float
    count: int


def bar_pairs(
    pairs: Sequence[Pair],
    *,
    chart_id: str,
    title: str,
    description: str,
    names: tuple[str, str],
    count_noun: str,
    x_label: str,
    width: int = 720,
) -> str:
    """Two bars per group, from zero, each with its value; the group's count stands beside its name.

    Args:
        chart_id: Unique on the page; the chart's ids begin with it.
        names: What the first and the second bar of a group are.
        count_noun: What was counted, in the singular.
        width: In pixels of its own; under 480 it draws for a phone.
    """
    key, top = legend([(names[0], "before"), (names[1], "after")], width)
    row = 66
    bottom = top + 10 + row * len(pairs)
    across = scale([0.0, *(max(p.before, p.after) for p in pairs)], 1, width - 58, ticks=6 if width >= 480 else 4)
    body = [key, *(_upright(across, tick, top + 6, bottom) for tick in across.ticks)]
    for number, pair in enumerate(pairs):
        body.append(_pair(pair, across, top + 10 + row * number, names, count_noun, width))
    body.append(words(1, bottom + 34, x_label, anchor="start"))
    return frame(chart_id, title, description, width, bottom + 44, body)


def _pair(pair: Pair, across: Scale, y: float, names: tuple[str, str], count_noun: str, width: int) -> str:
    behind = f"{pair.count:,} {count_noun}{'' if pair.count == 1 else 's'}"
    label = shortened(pair.label, width - 8 - CHARACTER * (len(behind) + 3))
    name = f'<tspan fill="{INK}" font-weight="600">{escaped(label)}</tspan> · {escaped(behind)}'
    parts = [f'<text x="1" y="{pixels(y + 16)}" fill="{TEXT}">{name}<title>{escaped(pair.label)}</title></text>']
    for number, (value, kind) in enumerate(((pair.before, "before"), (pair.after, "after"))):
        top = y + 23 + 17 * number
        title = f"{pair.label}, {names[number]}: {value:.4f} ({behind})"
        wide = max(across(value) - across(0), 1.0)
        parts.append(box(across(0), top, wide, 14, fill(kind), title=title))
        parts.append(words(across(0) + wide + 6, top + 11, f"{value:.3f}", anchor="start", color=INK))
    return "".join(parts)


def _upright(across: Scale, tick: float, top: float, bottom: float) -> str:
    x = across(tick)
    anchor = "start" if tick == across.low else "middle"
    return ruled(x, top, x, bottom, GRID) + words(x, bottom + 16, across.label(tick), anchor=anchor)
