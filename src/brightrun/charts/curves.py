"""Long curves made fit to draw: thinned with spikes kept, smoothed to show a trend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Point = tuple[float, float | None]


def finite(points: Iterable[Point]) -> list[Point]:
    """The same points; what is not a finite number becomes None, a gap."""
    return [(x, y if y is not None and math.isfinite(y) else None) for x, y in points]


def thin(points: Sequence[Point], *, most: int = 600) -> list[Point]:
    """At most about `most` points: of each bucket its lowest and highest, in order, and one gap if any.

    First and last point always stay. A spike of one step survives, because it is its bucket's highest.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    buckets = max(1, most // 3)
    kept = [points[0]]
    for bucket in range(buckets):
        kept.extend(_extremes(inner[bucket * len(inner) // buckets : (bucket + 1) * len(inner) // buckets]))
    return [*kept, points[-1]]


def _extremes(bucket: Sequence[Point]) -> list[Point]:
    values = [(y, index) for index, (_, y) in enumerate(bucket) if y is not None]
    gaps = [index for index, (_, y) in enumerate(bucket) if y is None]
    chosen = {min(values)[1], max(values)[1]} if values else set()
    return [bucket[index] for index in sorted(chosen | set(gaps[:1]))]


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
