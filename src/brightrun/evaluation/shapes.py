"""The few shapes charts are drawn with, as SVG text: lines, words, bars, legends, the frame around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

TEXT = "var(--chart-text, #4a5560)"
INK = "var(--chart-ink, #1b2329)"
GRID = "var(--chart-grid, #d9dee3)"
FIRST = "var(--chart-first, #0072b2)"
FAINT = "var(--chart-faint, #8ab8d6)"
SECOND = "var(--chart-second, #c2570a)"
PLAIN = "var(--chart-plain, #9aa5ae)"
SURFACE = "var(--chart-surface, #ffffff)"

FONTS = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
STROKES = {"faint": (FAINT, 1.0), "line": (FIRST, 2.0), "marked": (SECOND, 2.0)}  # colour and width of curves
CHARACTER = 6.3  # width of a character at 12 px, roughly; it places words, it never cuts a number
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def frame(chart_id: str, title: str, description: str, width: int, height: float, body: Sequence[str]) -> str:
    """The whole drawing, named and described for screen readers; its ids begin with the chart's own."""
    safe = _NOT_IN_IDS.sub("-", chart_id)
    high = pixels(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{safe}" role="img" '
        f'viewBox="0 0 {width} {high}" width="{width}" height="{high}" '
        f'aria-labelledby="{safe}-title {safe}-desc" font-family="{FONTS}" font-size="12">'
        f'<title id="{safe}-title">{escaped(title)}</title>'
        f'<desc id="{safe}-desc">{escaped(description)}</desc>' + "".join(body) + "</svg>"
    )


def legend(entries: Sequence[tuple[str, str]], width: int) -> tuple[str, float]:
    """The legend and the height it takes; entries wrap onto further lines."""
    parts: list[str] = []
    x, y = 2.0, 14.0
    for name, kind in entries:
        wide = 36 + CHARACTER * len(name)
        if x > 2 and x + wide > width:
            x, y = 2.0, y + 20
        parts.append(sample(kind, x, y - 4) + words(x + 30, y, name, anchor="start", colour=INK))
        x += wide + 14
    return "".join(parts), y + 8


def fill(kind: str) -> str:
    """The earlier bar is a pale outline, the later one solid: they differ without colour too."""
    if kind == "before":
        return f'fill="{PLAIN}" fill-opacity="0.25" stroke="{PLAIN}" stroke-width="1.5"'
    return f'fill="{FIRST}" stroke="{FIRST}" stroke-width="1.5"'


def words(x: float, y: float, text: str, *, anchor: str, colour: str = TEXT) -> str:
    return f'<text x="{pixels(x)}" y="{pixels(y)}" fill="{colour}" text-anchor="{anchor}">{escaped(text)}</text>'


def ruled(x1: float, y1: float, x2: float, y2: float, stroke: str, *, thick: float = 1.0, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{pixels(x1)}" y1="{pixels(y1)}" x2="{pixels(x2)}" y2="{pixels(y2)}" stroke="{stroke}" '
        f'stroke-width="{thick:g}"{dashes}/>'
    )


def diamond(x: float, y: float) -> str:
    return f"M{pixels(x)} {pixels(y - 5)}l5 5l-5 5l-5 -5Z"


def sample(kind: str, x: float, y: float) -> str:
    if kind in {"before", "after"}:
        return f'<rect x="{pixels(x)}" y="{pixels(y - 6)}" width="22" height="12" rx="2" {fill(kind)}/>'
    stroke, thick = STROKES[kind]
    drawn = ruled(x, y, x + 22, y, stroke, thick=thick, dash="6 4" if kind == "marked" else "")
    if kind == "marked":
        drawn += f'<path d="{diamond(x + 11, y)}" fill="{stroke}" stroke="{SURFACE}" stroke-width="1.5"/>'
    return drawn


def pixels(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def escaped(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))
