"""Long curves made fit to draw: thinned with spikes kept, smoothed to show a trend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Point = tuple[float, float | None]


def finite(points: Iterable[Point]) -> list[Point]:
    """The same points; what is not a finite number becomes None, a gap."""
    return [(x, y if y is not None and math.isfinite(y) else None) for x, y in points]


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` points, in order: first, last, and of every stretch of equal width its lowest and its highest.

    A spike of one step survives, because it is its stretch's highest. A stretch with gaps keeps its first one too.
    """
    if len(points) <= most:
        return list(points)
    begin, stretches = points[0][0], max(1, (most - 2) // 2)
    width = (points[-1][0] - begin + 1) / stretches
    lowest: dict[int, tuple[float, int]] = {}
    highest: dict[int, tuple[float, int]] = {}
    gaps: dict[int, int] = {}
    for index, (x, y) in enumerate(points):
        stretch = int((x - begin) / width)
        if y is None:
            gaps.setdefault(stretch, index)
            continue
        if stretch not in lowest or y < lowest[stretch][0]:
            lowest[stretch] = (y, index)
        if stretch not in highest or y > highest[stretch][0]:
            highest[stretch] = (y, index)
    extremes = {index for _, index in (*lowest.values(), *highest.values())}
    return [points[index] for index in sorted({0, len(points) - 1, *gaps.values(), *extremes})]


def smooth(points: Sequence[Point]) -> list[Point]:
    """The mean of each point and its neighbours, a twentieth of the curve wide, gaps left out of the mean.

    Near the ends the window shrinks evenly on both sides, so that the curve does not lag behind its data.
    """
    half = max(1, len(points) // 40)
    sums, counts = [0.0], [0]
    for _, y in points:
        sums.append(sums[-1] + (0.0 if y is None else y))
        counts.append(counts[-1] + (y is not None))
    smoothed: list[Point] = []
    for index, (x, y) in enumerate(points):
        reach = min(half, index, len(points) - 1 - index)
        low, high = index - reach, index + reach + 1
        mean = None if y is None else (sums[high] - sums[low]) / (counts[high] - counts[low])
        smoothed.append((x, mean))
    return smoothed
