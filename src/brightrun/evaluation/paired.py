"""Intervals for yes-or-no outcomes of the same questions asked twice, and for shares of few."""

from __future__ import annotations

import math
from collections.abc import Callable

_NORMAL = 1.959963984540054
"""The normal distribution lies within plus and minus this with a probability of 95 %."""


def paired_interval(gained: int, lost: int, asked: int) -> tuple[float, float]:
    """The 95 % interval of the change of a share, from how many outcomes changed each way.

    On each side it reaches as far as the farther of two. Tango's score interval (Equivalence test and confidence
    interval for the difference in proportions for the paired-sample design, Statistics in Medicine 17, 1998) keeps a
    width where nothing changed. The exact one, which takes the number of changed outcomes as given, leaves out zero
    only where the exact test of signs does (McNemar's), so that no change is claimed from five of five. A bootstrap
    has neither: where nothing changed, no resample of it does.

    Args:
        gained: Wrong before, right after.
        lost: Right before, wrong after.
        asked: How many were asked, at least one and at least those that changed.

    Returns:
        Lower and upper end of (gained - lost) / asked.
    """
    lowest = _root(lambda change: _score(gained, lost, asked, change) - _NORMAL, -1.0, (gained - lost) / asked)
    highest = _root(lambda change: _score(gained, lost, asked, change) + _NORMAL, (gained - lost) / asked, 1.0)
    if changed := gained + lost:
        low, high = share_interval(gained, changed)
        lowest = min(lowest, (2 * low - 1) * changed / asked)
        highest = max(highest, (2 * high - 1) * changed / asked)
    return lowest, highest


def share_interval(found: int, asked: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson, Biometrika 26, 1934)."""
    tail = 0.025
    low = 0.0 if found == 0 else _root(lambda share: tail - (1 - _at_most(found - 1, asked, share)), 0.0, 1.0)
    high = 1.0 if found == asked else _root(lambda share: _at_most(found, asked, share) - tail, 0.0, 1.0)
    return low, high


def _score(gained: int, lost: int, asked: int, change: float) -> float:
    """How many standard errors the counts lie above that change; Tango's equations 6 to 9."""
    b = (2 * asked - gained + lost) * change - gained - lost
    c = -lost * change * (1 - change)
    likeliest = (math.sqrt(max(b * b - 8 * asked * c, 0.0)) - b) / (4 * asked)
    variance = asked * (2 * likeliest + change * (1 - change))
    distance = gained - lost - asked * change
    return math.copysign(math.inf, distance) if variance <= 0 else distance / math.sqrt(variance)


def _at_most(found: int, asked: int, share: float) -> float:
    """The probability of so many or fewer of a binomial distribution."""
    return sum(math.comb(asked, k) * share**k * (1 - share) ** (asked - k) for k in range(found + 1))


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function goes through zero, by bisection."""
    for _ in range(100):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
