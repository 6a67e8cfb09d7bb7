"""A line chart's numbers for the page's script, which shows them under the pointer. Draws nothing itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

from brightrun.charts.axes import Scale
from brightrun.charts.curves import Point
from brightrun.charts.primitives import escaped


def hover_attributes(
    series: Sequence[tuple[str, str, Sequence[Point]]], across: Scale, down: Scale, *, x_label: str, y_label: str
) -> str:
    """` data-points="…" tabindex="0"`, for `frame`.

    The value is JSON: `x` and `y` with label, low, high, start, end (pixels of the drawing) and log; `series` with
    name, kind, and the lists x and y. Points without a value are left out; values have six significant digits.

    Args:
        series: Name, kind and points of each curve as it is drawn.
    """
    body = {
        "x": _axis(across, x_label),
        "y": _axis(down, y_label),
        "series": [_curve(name, kind, points) for name, kind, points in series],
    }
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f' data-points="{escaped(text)}" tabindex="0"'


def _axis(scale: Scale, label: str) -> dict[str, object]:
    place = {"low": scale.low, "high": scale.high, "start": round(scale.start, 1), "end": round(scale.end, 1)}
    return {"label": label, **place, "log": scale.logarithmic}


def _curve(name: str, kind: str, points: Sequence[Point]) -> dict[str, object]:
    known = [(x, y) for x, y in points if y is not None]
    return {
        "name": name,
        "kind": kind,
        "x": [int(x) if x == int(x) else x for x, _ in known],
        "y": [float(f"{y:.6g}") for _, y in known],
    }
