"""Bars against a limit: the parts of a plan's memory against the card, money spent and expected against the cap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brightrun.charts.axes import Scale, scale
from brightrun.charts.primitives import (
    CHARACTER,
    FIRST,
    FOURTH,
    GRID,
    INK,
    OVER,
    SECOND,
    SURFACE,
    TEXT,
    THIRD,
    box,
    fill,
    frame,
    legend,
    ruled,
    shortened,
    words,
)

Say = Callable[[float], str]
_COLOURS = (FIRST, SECOND, THIRD, FOURTH)
_BAR = 34.0


@dataclass(frozen=True, slots=True)
class Part:
    """A named share of a whole."""

    name: str
    amount: float


def memory_bar(
    parts: Sequence[Part], capacity: float | None, *, chart_id: str, title: str, say: Say, width: int = 720
) -> str:
    """Parts side by side in one bar, lettered as in the list below it; what exceeds the capacity is red.

    Args:
        parts: In the order they are drawn.
        capacity: What there is; None where it is not known.
        say: An amount in words, such as `71.4 GB`.
        width: In pixels of its own; under 480 it draws for a phone.
    """
    total = sum(part.amount for part in parts)
    over = capacity is not None and total > capacity
    end = max(total, capacity or 0.0) or 1.0
    across = scale_to(end, 2, width - 2)
    verdict, needs = _verdict(total, capacity, say)
    body = [words(2, 16, verdict, anchor="start", color=OVER if over else INK, bold=True)]
    if width >= 480:
        top = 30.0
        body.append(words(width - 2, 16, needs, anchor="end"))
    else:
        top = 46.0
        body.append(words(2, 34, needs, anchor="start"))
    room = capacity if capacity is not None else total
    body.append(
        box(across(0), top, across(room) - across(0), _BAR, f'fill="{GRID}" fill-opacity="0.5" stroke="{GRID}"')
    )
    at = 0.0
    for number, part in enumerate(parts):
        body.append(_segment(number, part, across(at), across(at + part.amount), top, say))
        at += part.amount
    if capacity is not None:
        body += _capacity(across, capacity, total, top, width, say)
    key, bottom = _part_list(parts, top + _BAR + 28, width, say)
    said = f"{verdict}: {needs}. " + "; ".join(f"{part.name}: {say(part.amount)}" for part in parts) + "."
    return frame(chart_id, title, said, width, bottom, [*body, *key])


def cost_bar(
    *,
    spent: float | None,
    expected: float | None,
    band: tuple[float, float] | None,
    cap: float | None,
    chart_id: str,
    title: str,
    say: Say,
    width: int = 720,
) -> str:
    """Money spent as a solid bar over the expected amount with its band, the cap as a thick line.

    Args:
        spent: So far; None where it is not known, which is never drawn as nothing.
        band: Lowest and highest that are expected.
        cap: None where there is none.
        say: An amount in words, such as `$1.20`.
        width: In pixels of its own; under 480 it draws for a phone.
    """
    known = [value for value in (spent, expected, cap, *(band or ())) if value is not None]
    across = scale_to(max(known, default=0.0) * 1.04 or 1.0, 2, width - 8)
    entries = _cost_text(spent, expected, band, cap, say)
    key, top = legend(entries, width)
    top += 6
    body = [key, box(2, top, width - 10, _BAR, f'fill="{GRID}" fill-opacity="0.5" stroke="none"')]
    low, high = band or (expected, expected)
    if expected is not None and low is not None and high is not None:
        body.append(box(across(0), top + 4, across(high) - across(0), _BAR - 8, fill("expected")))
        body.append(ruled(across(low), top + 4, across(low), top + _BAR - 4, TEXT, dash="2 2"))
        body.append(ruled(across(expected), top, across(expected), top + _BAR, TEXT, thick=2))
    if spent:
        inside = spent if cap is None else min(spent, cap)
        body.append(box(across(0), top + 9, max(1.5, across(inside) - across(0)), _BAR - 18, fill("after")))
        if inside < spent:
            body.append(box(across(inside), top + 9, across(spent) - across(inside), _BAR - 18, fill("over")))
    if cap is not None:
        body.append(ruled(across(cap), top - 4, across(cap), top + _BAR + 4, INK, thick=3))
    said = ". ".join(text for text, _ in entries) + "."
    return frame(chart_id, title, said, width, top + _BAR + 8, body)


def scale_to(end: float, start: float, stop: float) -> Scale:
    """From zero to exactly this value."""
    return Scale(0.0, end, start, stop, scale([0.0, end], start, stop, ticks=4).ticks)


def _verdict(total: float, capacity: float | None, say: Say) -> tuple[str, str]:
    """Whether it fits, and what it needs of what there is."""
    if capacity is None:
        return "Not known whether it fits", f"needs {say(total)}"
    needs = f"needs {say(total)} of {say(capacity)}"
    if total > capacity:
        return f"Does not fit: {say(total - capacity)} too much", needs
    return f"Fits: {say(capacity - total)} to spare", needs


def _segment(number: int, part: Part, start: float, end: float, top: float, say: Say) -> str:
    wide = max(end - start, 0.0)
    drawn = box(start, top, wide, _BAR, _look(number), title=f"{part.name}: {say(part.amount)}", corner=0)
    if wide >= 14:
        color = SURFACE if _is_solid(number) else INK
        drawn += words((start + end) / 2, top + _BAR / 2 + 4, _letter(number), anchor="middle", color=color, bold=True)
    return drawn


def _capacity(across: Scale, capacity: float, total: float, top: float, width: int, say: Say) -> list[str]:
    """The line at what there is, its label, and a red frame around what lies behind it."""
    x = across(capacity)
    parts = []
    if total > capacity:
        parts.append(box(x, top - 3, across(total) - x, _BAR + 6, f'fill="none" stroke="{OVER}" stroke-width="3"'))
    parts.append(ruled(x, top - 6, x, top + _BAR + 6, INK, thick=3))
    label = f"available: {say(capacity)}"
    anchor = "end" if x > width - CHARACTER * len(label) else "start"
    return [*parts, words(min(x + 1, width - 2), top + _BAR + 19, label, anchor=anchor)]


def _part_list(parts: Sequence[Part], top: float, width: int, say: Say) -> tuple[list[str], float]:
    columns = 2 if width >= 480 else 1
    each = width / columns
    rows = -(-len(parts) // columns)
    body = []
    for number, part in enumerate(parts):
        x, y = each * (number // rows), top + 22 * (number % rows)
        color = SURFACE if _is_solid(number) else INK
        amount = say(part.amount)
        body.append(box(x + 2, y, 18, 16, _look(number)))
        body.append(words(x + 11, y + 12, _letter(number), anchor="middle", color=color, bold=True))
        name = shortened(part.name, each - 60 - CHARACTER * len(amount))
        body.append(words(x + 28, y + 12, name, anchor="start"))
        body.append(words(x + each - 20, y + 12, amount, anchor="end", color=INK))
    return body, top + 22 * rows + 4


def _letter(number: int) -> str:
    return chr(ord("A") + number % 26)


def _is_solid(number: int) -> bool:
    return (number + number // len(_COLOURS)) % 2 == 0


def _look(number: int) -> str:
    """Solid and pale by turns, so that neighbours differ without color."""
    color = _COLOURS[number % len(_COLOURS)]
    opacity = "1" if _is_solid(number) else "0.25"
    return f'fill="{color}" fill-opacity="{opacity}" stroke="{SURFACE}" stroke-width="1"'


def _cost_text(
    spent: float | None, expected: float | None, band: tuple[float, float] | None, cap: float | None, say: Say
) -> list[tuple[str, str]]:
    entries = [("Spent: not known" if spent is None else f"Spent: {say(spent)}", "after")]
    if expected is None:
        entries.append(("Expected: not known", "expected"))
    else:
        reach = f" ({say(band[0])} to {say(band[1])})" if band else ""
        entries.append((f"Expected: {say(expected)}{reach}", "expected"))
    if spent is not None and cap is not None and spent > cap:
        entries.append((f"Over the cap: {say(spent - cap)}", "over"))
    entries.append(("No cap", "") if cap is None else (f"Cap: {say(cap)}", "limit"))
    return entries
