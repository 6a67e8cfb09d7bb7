"""The few shapes charts are drawn with, as SVG text: lines, words, bars, legends, the frame around them.

Charts have no script and no style sheet. Colours are CSS variables with fallbacks (`--chart-*`), so that a page's light
and dark themes reach them; shapes and dashes carry the same meaning as the colors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

TEXT = "var(--chart-text, #4a5560)"
INK = "var(--chart-ink, #1b2329)"
GRID = "var(--chart-grid, #d9dee3)"
FIRST = "var(--chart-first, #0072b2)"
FAINT = "var(--chart-faint, #8ab8d6)"
SECOND = "var(--chart-second, #c2570a)"
THIRD = "var(--chart-third, #00785a)"
FOURTH = "var(--chart-fourth, #8a4a9e)"
PLAIN = "var(--chart-plain, #9aa5ae)"
OVER = "var(--chart-over, #b3261e)"
SURFACE = "var(--chart-surface, #ffffff)"

FONTS = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
CHARACTER = 6.3  # width of a character at 12 px, roughly; it places words, it never cuts a number
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Stroke(NamedTuple):
    """How a kind of curve is drawn: two kinds differ in more than their color."""

    color: str
    thick: float
    dash: str = ""
    marker: str = ""


STROKES = {
    "faint": Stroke(FAINT, 1.0),
    "line": Stroke(FIRST, 2.0),
    "marked": Stroke(SECOND, 2.0, "6 4", "diamond"),
    "run-1": Stroke(FIRST, 2.0, "", "circle"),
    "run-2": Stroke(SECOND, 2.0, "7 4", "diamond"),
    "run-3": Stroke(THIRD, 2.0, "2 4", "square"),
    "run-4": Stroke(FOURTH, 2.0, "11 4 2 4", "triangle"),
}


def chart_ids(chart_id: str) -> str:
    """The chart's id as it stands in the drawing: letters, digits, - and _."""
    return _NOT_IN_IDS.sub("-", chart_id)


def frame(
    chart_id: str,
    title: str,
    description: str,
    width: float,
    height: float,
    body: Sequence[str],
    *,
    attributes: str = "",
) -> str:
    """The whole drawing, named and described for screen readers; its ids begin with the chart's own.

    Args:
        attributes: More attributes of the drawing, escaped, each with a space before it.
    """
    safe = chart_ids(chart_id)
    wide, high = pixels(width), pixels(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{safe}" role="img" '
        f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'aria-labelledby="{safe}-title" aria-describedby="{safe}-desc" '
        f'font-family="{FONTS}" font-size="12"{attributes}>'
        f'<title id="{safe}-title">{escaped(title)}</title>'
        f'<desc id="{safe}-desc">{escaped(description)}</desc>' + "".join(body) + "</svg>"
    )


def legend(entries: Sequence[tuple[str, str]], width: float) -> tuple[str, float]:
    """The legend and the height it takes; entries wrap onto further lines. One without a kind is words alone."""
    parts: list[str] = []
    x, y = 2.0, 14.0
    for name, kind in entries:
        text = shortened(name, width - 36)
        beside = 30 if kind else 0
        wide = 6 + beside + CHARACTER * len(text)
        if x > 2 and x + wide > width:
            x, y = 2.0, y + 20
        mark = sample(kind, x, y - 4) if kind else ""
        parts.append(mark + words(x + beside, y, text, anchor="start", color=INK))
        x += wide + 14
    return "".join(parts), y + 8


def fill(kind: str) -> str:
    """Bars: what was before or is expected is a pale outline, what is is solid, what is too much a thick red edge."""
    if kind in {"before", "expected"}:
        return f'fill="{PLAIN}" fill-opacity="0.25" stroke="{PLAIN}" stroke-width="1.5"'
    if kind == "over":
        return f'fill="{OVER}" fill-opacity="0.35" stroke="{OVER}" stroke-width="2"'
    return f'fill="{FIRST}" stroke="{FIRST}" stroke-width="1.5"'


def words(x: float, y: float, text: str, *, anchor: str, color: str = TEXT, bold: bool = False, title: str = "") -> str:
    weight = ' font-weight="600"' if bold else ""
    more = f"<title>{escaped(title)}</title>" if title else ""
    return (
        f'<text x="{pixels(x)}" y="{pixels(y)}" fill="{color}" text-anchor="{anchor}"{weight}>'
        f"{escaped(text)}{more}</text>"
    )


def ruled(x1: float, y1: float, x2: float, y2: float, stroke: str, *, thick: float = 1.0, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{pixels(x1)}" y1="{pixels(y1)}" x2="{pixels(x2)}" y2="{pixels(y2)}" stroke="{stroke}" '
        f'stroke-width="{thick:g}"{dashes}/>'
    )


def box(x: float, y: float, wide: float, high: float, style: str, *, title: str = "", corner: float = 2) -> str:
    """A rectangle; `look` is its fill and stroke, as `fill` gives them."""
    start = (
        f'<rect x="{pixels(x)}" y="{pixels(y)}" width="{pixels(wide)}" height="{pixels(high)}" rx="{corner:g}" {style}'
    )
    return f"{start}><title>{escaped(title)}</title></rect>" if title else f"{start}/>"


def marker(shape: str, x: float, y: float) -> str:
    """The outline of a marker around a point, as the text of a path."""
    if shape == "diamond":
        return f"M{pixels(x)} {pixels(y - 5)}l5 5l-5 5l-5 -5Z"
    if shape == "square":
        return f"M{pixels(x - 3.5)} {pixels(y - 3.5)}h7v7h-7Z"
    if shape == "triangle":
        return f"M{pixels(x)} {pixels(y - 5)}l5 8.5h-10Z"
    return f"M{pixels(x - 4)} {pixels(y)}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z"


def marked(shape: str, x: float, y: float, color: str, *, title: str = "") -> str:
    """A filled marker with an edge in the color of the page, so that a line does not swallow it."""
    start = f'<path d="{marker(shape, x, y)}" fill="{color}" stroke="{SURFACE}" stroke-width="1.5"'
    return f"{start}><title>{escaped(title)}</title></path>" if title else f"{start}/>"


def outlined(shape: str, x: float, y: float, *, title: str = "") -> str:
    """A hollow red marker: something lies where it should not."""
    start = f'<path d="{marker(shape, x, y)}" fill="{SURFACE}" stroke="{OVER}" stroke-width="2"'
    return f"{start}><title>{escaped(title)}</title></path>" if title else f"{start}/>"


def sample(kind: str, x: float, y: float) -> str:
    """What stands before a name in the legend, 22 pixels wide."""
    if kind in {"before", "after", "expected", "over"}:
        return box(x, y - 6, 22, 12, fill(kind))
    if kind == "limit":
        return ruled(x + 11, y - 8, x + 11, y + 8, INK, thick=3)
    if kind == "middle":
        return ruled(x + 11, y - 7, x + 11, y + 7, TEXT, thick=2)
    if kind == "outside":
        return outlined("diamond", x + 11, y)
    stroke = STROKES[kind]
    drawn = ruled(x, y, x + 22, y, stroke.color, thick=stroke.thick, dash=stroke.dash)
    return drawn + (marked(stroke.marker, x + 11, y, stroke.color) if stroke.marker else "")


def shortened(text: str, room: float) -> str:
    """The text, or its beginning and an ellipsis where so many pixels do not hold it."""
    most = max(1, int(room / CHARACTER))
    return text if len(text) <= most else text[: max(1, most - 1)].rstrip() + "…"


def pixels(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def escaped(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))
