"""Charts drawn on the server as SVG text, for the report and the web pages. No script, no style sheet.

Colours are CSS variables with fallbacks (`--chart-*`), so that a page's light and dark themes reach them;
shapes and dashes carry the same meaning as the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from brightrun.evaluation.axes import Scale, scale
from brightrun.evaluation.curves import Point, finite, thin
from brightrun.evaluation.shapes import (
    CHARACTER,
    GRID,
    INK,
    STROKES,
    SURFACE,
    TEXT,
    diamond,
    escaped,
    fill,
    frame,
    legend,
    pixels,
    ruled,
    words,
)


@dataclass(frozen=True, slots=True)
class Series:
    """`faint` lies behind, `line` is plain, `marked` has a diamond and its value at each point."""

    name: str
    points: Sequence[Point]
    kind: Literal["faint", "line", "marked"] = "line"


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled vertical line, such as the step that was kept."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bars of one group and the number of measurements behind them."""

    label: str
    before: float
    after: float
    count: int


def line_chart(
    series: Sequence[Series],
    *,
    chart_id: str,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    marks: Sequence[Mark] = (),
    width: int = 720,
) -> str:
    """Curves over steps. Points that are None or not finite are gaps; long curves are thinned, spikes kept.

    Args:
        chart_id: Unique on the page; the chart's ids begin with it.
        width: In pixels of its own; under 480 it draws for a phone.
    """
    height = 370 if width >= 480 else 300
    drawn = [Series(one.name, thin(finite(one.points)), one.kind) for one in series]
    ys = [y for one in drawn for _, y in one.points if y is not None]
    xs = [x for one in drawn for x, _ in one.points] + [mark.x for mark in marks]
    key, top = legend([(one.name, one.kind) for one in drawn], width)
    down = scale(ys, height - 46, top + 34, ticks=5)
    left = 24 + CHARACTER * max(len(down.label(tick)) for tick in down.ticks)
    right = width - max(14, CHARACTER / 2 * len(f"{max(xs, default=0):,.0f}") + 2)
    across = scale(xs, left, right, ticks=8 if width >= 480 else 4, whole=True)
    body = [key, _grid(across, down, x_label, y_label), *(_mark(mark, across, down) for mark in marks)]
    order = {"faint": 0, "line": 1, "marked": 2}
    body += [_series(one, across, down) for one in sorted(drawn, key=lambda one: order[one.kind])]
    return frame(chart_id, title, description, width, height, body)


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


def _grid(across: Scale, down: Scale, x_label: str, y_label: str) -> str:
    parts = [words(2, down.end - 12, y_label, anchor="start")]
    for tick in down.ticks:
        y = down(tick)
        parts.append(ruled(across.start, y, across.end, y, GRID))
        parts.append(words(across.start - 8, y + 4, down.label(tick), anchor="end"))
    parts.append(ruled(across.start, down.start, across.end, down.start, TEXT))
    for tick in across.ticks:
        parts.append(ruled(across(tick), down.start, across(tick), down.start + 4, TEXT))
        parts.append(words(across(tick), down.start + 18, across.label(tick), anchor="middle"))
    parts.append(words((across.start + across.end) / 2, down.start + 38, x_label, anchor="middle"))
    return "".join(parts)


def _series(one: Series, across: Scale, down: Scale) -> str:
    stroke, thick = STROKES[one.kind]
    dash = ' stroke-dasharray="6 4"' if one.kind == "marked" else ""
    path = (
        f'<path d="{_path(one.points, across, down)}" fill="none" stroke="{stroke}" stroke-width="{thick}" '
        f'stroke-linecap="round" stroke-linejoin="round"{dash}/>'
    )
    if one.kind != "marked":
        return path + _lone_points(one.points, across, down, stroke, thick)
    marks = [
        f'<path d="{diamond(across(x), down(y))}" fill="{stroke}" stroke="{SURFACE}" stroke-width="1.5">'
        f"<title>{escaped(f'{one.name}, {x:g}: {y:.4f}')}</title></path>"
        for x, y in one.points
        if y is not None
    ]
    return path + "".join(marks)


def _path(points: Sequence[Point], across: Scale, down: Scale) -> str:
    """Moves and lines; a gap lifts the pen."""
    parts: list[str] = []
    pen_down = False
    for x, y in points:
        if y is None:
            pen_down = False
            continue
        here = f"{pixels(across(x))} {pixels(down(y))}"
        parts.append(f"L{here}" if pen_down else f"M{here}")
        pen_down = True
    return "".join(parts)


def _lone_points(points: Sequence[Point], across: Scale, down: Scale, stroke: str, thick: float) -> str:
    """Dots for the points without a neighbour, which a line cannot show."""
    known = [False, *(y is not None for _, y in points), False]
    return "".join(
        f'<circle cx="{pixels(across(x))}" cy="{pixels(down(y))}" r="{thick * 1.5 + 1:g}" fill="{stroke}"/>'
        for index, (x, y) in enumerate(points)
        if y is not None and not known[index] and not known[index + 2]
    )


def _pair(pair: Pair, across: Scale, y: float, names: tuple[str, str], count_noun: str, width: int) -> str:
    behind = f"{pair.count:,} {count_noun}{'' if pair.count == 1 else 's'}"
    room = int((width - 8) / CHARACTER) - len(behind) - 3
    label = pair.label if len(pair.label) <= room else pair.label[: max(1, room - 1)] + "…"
    name = f'<tspan fill="{INK}" font-weight="600">{escaped(label)}</tspan> · {escaped(behind)}'
    parts = [f'<text x="1" y="{pixels(y + 16)}" fill="{TEXT}">{name}<title>{escaped(pair.label)}</title></text>']
    for number, (value, kind) in enumerate(((pair.before, "before"), (pair.after, "after"))):
        top = y + 23 + 17 * number
        title = f"{pair.label}, {names[number]}: {value:.4f} ({behind})"
        wide = max(across(value) - across(0), 1.0)
        parts.append(
            f'<rect x="{pixels(across(0))}" y="{pixels(top)}" width="{pixels(wide)}" height="14" rx="2" '
            f"{fill(kind)}><title>{escaped(title)}</title></rect>"
        )
        parts.append(words(across(0) + wide + 6, top + 11, f"{value:.3f}", anchor="start", colour=INK))
    return "".join(parts)


def _mark(mark: Mark, across: Scale, down: Scale) -> str:
    x = across(mark.x)
    left_half = x < (across.start + across.end) / 2
    return ruled(x, down.start, x, down.end, INK, dash="2 3") + words(
        x + (5 if left_half else -5),
        down.end + 10,
        mark.label,
        anchor="start" if left_half else "end",
        colour=INK,
    )


def _upright(across: Scale, tick: float, top: float, bottom: float) -> str:
    x = across(tick)
    anchor = "start" if tick == across.low else "middle"
    return ruled(x, top, x, bottom, GRID) + words(x, bottom + 16, across.label(tick), anchor=anchor)
