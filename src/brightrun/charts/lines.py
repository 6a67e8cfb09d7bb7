"""Curves over steps, drawn as SVG: of one run or of several, whole or still growing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from brightrun.charts.axes import Scale, log_scale, scale
from brightrun.charts.curves import Point, finite
from brightrun.charts.hover import hover_attributes
from brightrun.charts.primitives import (
    CHARACTER,
    GRID,
    INK,
    STROKES,
    TEXT,
    Stroke,
    frame,
    legend,
    marked,
    pixels,
    ruled,
    words,
)

Kind = Literal["faint", "line", "marked", "run-1", "run-2", "run-3", "run-4"]
RUN_KINDS: tuple[Kind, ...] = ("run-1", "run-2", "run-3", "run-4")
_MARKED_THROUGHOUT = 14  # so many points of a run at most have a marker each
_MARKERS = 7


@dataclass(frozen=True, slots=True)
class Series:
    """`faint` lies behind, `line` is plain, `marked` has a diamond and its value at each point.

    `run-1` to `run-4` are curves of different runs: each has a dash and a marker of its own.
    """

    name: str
    points: Sequence[Point]
    kind: Kind = "line"


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled vertical line, such as the step that was kept."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class ChartStyle:
    """What a curve's chart may have beside its curves.

    Attributes:
        x_end: The axis reaches at least to here, such as the last step of a run that still goes on.
        logarithmic: Equal factors are equally high; values of zero or less are gaps.
        from_zero: A straight scale begins at zero, so that a small wobble looks small.
        hover: Carry the numbers for the page's script, and take the keyboard's focus.
    """

    x_end: float | None = None
    logarithmic: bool = False
    from_zero: bool = False
    hover: bool = False


def line_chart(  # noqa: PLR0913 - what a chart says, and how it looks
    series: Sequence[Series],
    *,
    chart_id: str,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    marks: Sequence[Mark] = (),
    width: int = 720,
    style: ChartStyle | None = None,
) -> str:
    """Curves over steps. Points that are None or not finite are gaps. Every point is drawn: thin before.

    Args:
        chart_id: Unique on the page; the chart's ids begin with it.
        width: In pixels of its own; under 480 it draws for a phone.
        style: By default a straight scale around the points, and no numbers for a script.
    """
    style = style or ChartStyle()
    height = 370 if width >= 480 else 300
    drawn = [Series(one.name, _shown(one.points, style), one.kind) for one in series]
    ys = [y for one in drawn for _, y in one.points if y is not None]
    ys += [0.0] if style.from_zero and ys else []
    xs = [x for one in drawn for x, _ in one.points] + [mark.x for mark in marks]
    xs += [] if style.x_end is None else [style.x_end]
    key, top = legend([(one.name, one.kind) for one in drawn], width)
    down = (log_scale if style.logarithmic else scale)(ys, height - 46, top + 34, ticks=5)
    left = 24 + CHARACTER * max(len(down.label(tick)) for tick in down.ticks)
    right = width - max(14, CHARACTER / 2 * len(f"{max(xs, default=0):,.0f}") + 2)
    across = scale(xs, left, right, ticks=8 if width >= 480 else 4, whole=True)
    body = [key, _grid(across, down, x_label, y_label), *(_mark(mark, across, down) for mark in marks)]
    body += [_series(one, across, down) for one in sorted(drawn, key=lambda one: one.kind != "faint")]
    attributes = ""
    if style.hover and ys:
        curves = [(one.name, one.kind, one.points) for one in drawn]
        attributes = hover_attributes(curves, across, down, x_label=x_label, y_label=y_label)
    return frame(chart_id, title, description, width, height, body, attributes=attributes)


def _shown(points: Sequence[Point], style: ChartStyle) -> list[Point]:
    known = finite(points)
    return [(x, y if y is not None and y > 0 else None) for x, y in known] if style.logarithmic else known


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
    stroke = STROKES[one.kind]
    dash = f' stroke-dasharray="{stroke.dash}"' if stroke.dash else ""
    path = (
        f'<path d="{_path(one.points, across, down)}" fill="none" stroke="{stroke.color}" '
        f'stroke-width="{stroke.thick:g}" stroke-linecap="round" stroke-linejoin="round"{dash}/>'
    )
    if not stroke.marker:
        return path + _lone_points(one.points, across, down, stroke)
    known = [(x, y) for x, y in one.points if y is not None]
    return path + "".join(
        marked(stroke.marker, across(x), down(y), stroke.color, title=f"{one.name}, {x:g}: {_value(y)}")
        for x, y in (known if one.kind == "marked" else _some(known, one.kind))
    )


def _some(known: Sequence[tuple[float, float]], kind: Kind) -> Sequence[tuple[float, float]]:
    """A few points of a long curve, at other places for every run, so that markers do not hide each other."""
    if len(known) <= _MARKED_THROUGHOUT:
        return known
    apart = len(known) / _MARKERS
    shift = (RUN_KINDS.index(kind) + 0.5) / len(RUN_KINDS) if kind in RUN_KINDS else 0.0
    return [known[int((number + shift) * apart)] for number in range(_MARKERS)]


def _value(value: float) -> str:
    return f"{value:.4f}" if 0.01 <= abs(value) < 1000 else f"{value:.4g}"


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


def _lone_points(points: Sequence[Point], across: Scale, down: Scale, stroke: Stroke) -> str:
    """Dots for the points without a neighbour, which a line cannot show."""
    known = [False, *(y is not None for _, y in points), False]
    return "".join(
        f'<circle cx="{pixels(across(x))}" cy="{pixels(down(y))}" r="{stroke.thick * 1.5 + 1:g}" '
        f'fill="{stroke.color}"/>'
        for index, (x, y) in enumerate(points)
        if y is not None and not known[index] and not known[index + 2]
    )


def _mark(mark: Mark, across: Scale, down: Scale) -> str:
    x = across(mark.x)
    left_half = x < (across.start + across.end) / 2
    return ruled(x, down.start, x, down.end, INK, dash="2 3") + words(
        x + (5 if left_half else -5),
        down.end + 10,
        mark.label,
        anchor="start" if left_half else "end",
        color=INK,
    )
