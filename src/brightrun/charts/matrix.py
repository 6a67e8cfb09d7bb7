"""How many of each pair of labels, such as persona × arc: a grid with its numbers, or a list on a phone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from brightrun.charts.primitives import (
    CHARACTER,
    FIRST,
    GRID,
    INK,
    PLAIN,
    box,
    frame,
    ruled,
    shortened,
    words,
)
from brightrun.format import counted, label_text

Counts = Mapping[tuple[str, str], int]
_CELL_HEIGHT = 40.0
_NARROWEST_CELL = 68.0
_WIDEST_CELL = 128.0
_HEADER_LINES = 3
_STRONGEST = 0.42  # the page's ink stays legible on the fullest cell, in both themes


def matrix(counts: Counts, *, chart_id: str, title: str, sides: tuple[str, str], noun: str, width: int = 720) -> str:
    """Counts of row × column, the most frequent first. A combination that never occurs is shown as 0.

    A grid that does not fit is wider than `width`: it scrolls inside its own container.

    Args:
        counts: By (row, column).
        sides: What rows and columns are, in the singular, such as persona and arc.
        noun: What was counted, in the singular.
        width: In pixels of its own; under 480 it draws a list.
    """
    rows, columns = _in_order(counts, 0), _in_order(counts, 1)
    said = _said(counts, rows, columns, sides, noun)
    draw = _grid if width >= 480 else _list
    body, wide, high = draw(counts, rows, columns, sides, noun, width)
    unshrunk = ' class="unshrunk" tabindex="0"' if wide > width else ""  # it scrolls, by the keyboard too
    return frame(chart_id, title, said, wide, high, body, attributes=unshrunk)


def _in_order(counts: Counts, side: int) -> list[str]:
    totals: dict[str, int] = defaultdict(int)
    for labels, count in counts.items():
        totals[labels[side]] += count
    return sorted(totals, key=lambda label: (-totals[label], label))


def _grid(
    counts: Counts, rows: Sequence[str], columns: Sequence[str], sides: tuple[str, str], noun: str, width: int
) -> tuple[list[str], float, float]:
    left = min(230.0, 24 + CHARACTER * max((len(label_text(row)) for row in [*rows, sides[0]]), default=0))
    cell = min(_WIDEST_CELL, max(_NARROWEST_CELL, (width - left - 60) / max(1, len(columns))))
    heads = [_wrapped(label_text(column), cell - 8) for column in columns]
    top = 12 + 15.0 * max((len(lines) for lines in heads), default=1)
    body = [words(2, top - 8, sides[0].capitalize(), anchor="start")]
    for number, (column, lines) in enumerate(zip(columns, heads, strict=True)):
        middle = left + cell * (number + 0.5)
        for line, text in enumerate(reversed(lines)):
            body.append(words(middle, top - 8 - 15 * line, text, anchor="middle", color=INK, title=label_text(column)))
    body.append(words(left + cell * len(columns) + 48, top - 8, "All", anchor="end"))
    most = max(counts.values(), default=0)
    for number, row in enumerate(rows):
        y = top + _CELL_HEIGHT * number
        label = label_text(row)
        name = shortened(label, left - 16)
        body.append(words(2, y + 25, name, anchor="start", color=INK, title=label if name != label else ""))
        for place, column in enumerate(columns):
            count = counts.get((row, column), 0)
            said = f"{label}, {label_text(column)}: {counted(count, noun)}"
            body.append(_cell(left + cell * place, y, cell, count, most, said))
        total = sum(counts.get((row, column), 0) for column in columns)
        body.append(words(left + cell * len(columns) + 48, y + 25, f"{total:,}", anchor="end", bold=True, color=INK))
    wide = max(float(width), left + cell * len(columns) + 56)
    return body, wide, top + _CELL_HEIGHT * len(rows) + 4


def _cell(x: float, y: float, wide: float, count: int, most: int, said: str) -> str:
    middle = (x + wide / 2, y + 25)
    if not count:
        look = f'fill="none" stroke="{GRID}" stroke-width="1" stroke-dasharray="3 3"'
        return box(x + 2, y + 2, wide - 4, _CELL_HEIGHT - 4, look, title=said, corner=4) + words(
            *middle, "0", anchor="middle"
        )
    strength = 0.08 + (_STRONGEST - 0.08) * count / most
    look = f'fill="{FIRST}" fill-opacity="{strength:.2f}" stroke="{FIRST}" stroke-opacity="0.5" stroke-width="1"'
    return box(x + 2, y + 2, wide - 4, _CELL_HEIGHT - 4, look, title=said, corner=4) + words(
        *middle, f"{count:,}", anchor="middle", color=INK, bold=True
    )


def _list(
    counts: Counts, rows: Sequence[str], columns: Sequence[str], sides: tuple[str, str], noun: str, width: int
) -> tuple[list[str], float, float]:
    """Each row's label, and below it a bar for every column that occurs; those that do not are named together."""
    most = max(counts.values(), default=1) or 1
    room = width - 70.0
    body: list[str] = []
    y = 4.0
    for row in rows:
        here = sorted((-counts.get((row, column), 0), column) for column in columns)
        total = -sum(count for count, _ in here)
        body.append(words(2, y + 16, shortened(label_text(row), room - 50), anchor="start", color=INK, bold=True))
        body.append(words(width - 4, y + 16, f"{total:,}", anchor="end", color=INK, bold=True))
        y += 26
        for negative, column in here:
            if negative:
                said = f"{label_text(row)}, {label_text(column)}: {counted(-negative, noun)}"
                body.append(words(10, y + 11, shortened(label_text(column), room), anchor="start"))
                body.append(words(width - 4, y + 11, f"{-negative:,}", anchor="end", color=INK))
                look = f'fill="{FIRST}"'
                body.append(box(10, y + 17, max(2.0, -negative / most * (width - 14)), 5, look, title=said))
                y += 30
        absent = sum(1 for negative, _ in here if not negative)
        if absent:
            body.append(words(10, y + 11, f"with {counted(absent, f'other {sides[1]}')}: 0", anchor="start"))
            y += 20
        body.append(ruled(2, y + 4, width - 2, y + 4, GRID))
        y += 12
    return body or [words(2, 20, f"No {noun} has both labels.", anchor="start", color=PLAIN)], width, max(y, 30.0)


def _wrapped(text: str, room: float) -> list[str]:
    """At most three lines of whole words; what does not fit is cut with an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and CHARACTER * len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > _HEADER_LINES:
        lines = [*lines[: _HEADER_LINES - 1], " ".join(lines[_HEADER_LINES - 1 :])]
    return [shortened(line, room) for line in lines]


def _said(counts: Counts, rows: Sequence[str], columns: Sequence[str], sides: tuple[str, str], noun: str) -> str:
    if not counts:
        return f"No {noun} has both labels."
    absent = len(rows) * len(columns) - sum(1 for count in counts.values() if count)
    occurring = "; ".join(
        f"{label_text(row)}, {label_text(column)}: {counts[row, column]:,}"
        for row in rows
        for column in columns
        if counts.get((row, column))
    )
    return (
        f"{counted(sum(counts.values()), noun)} in {counted(len(rows), sides[0])} and "
        f"{counted(len(columns), sides[1])}; {counted(absent, 'combination')} never occur. {occurring}."
    )
