"""Values just below and just above the thresholds of smoothing and of near-duplicates."""

from __future__ import annotations

import random

import numpy as np
import pytest

from brightrun.charts.curves import smooth
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.fingerprints import HASHES, SIMILAR, FingerprintMaker, Fingerprints

WORDS = [f"word{number}" for number in range(400)]


@pytest.mark.parametrize(("count", "half"), [(20, 1), (79, 1), (80, 2), (119, 2), (120, 3), (400, 10)])
def test_the_window_is_a_twentieth_of_the_curve(count: int, half: int) -> None:
    """A single spike is spread over the window that is centered on it, and over nothing beside it."""
    middle = count // 2
    smoothed = smooth([(x, 1.0 if x == middle else 0.0) for x in range(count)])
    touched = [x for x, y in smoothed if y]
    assert touched == list(range(middle - half, middle + half + 1))
    assert [y for _, y in smoothed if y] == [pytest.approx(1 / (2 * half + 1))] * len(touched)


def _share(one: str, other: str) -> float:
    """The share of equal minima of two texts: what the threshold is compared with."""
    maker = FingerprintMaker()
    return float(np.mean(maker.of([one]).minima == maker.of([other]).minima))


def _near(one: str, other: str) -> list[list[str]]:
    prints = Fingerprints()
    try:
        for name, text in (("a", one), ("b", other)):
            opening, rest = f"{name} begins in its own way", text
            turns = (Turn(number=1, role="user", content=opening), Turn(number=2, role="assistant", content=rest))
            prints.add(Conversation(id=name, place="", system=None, turns=turns))
        return prints.groups().near
    finally:
        prints.close()


def _pair_with(share: float, *, seed: int = 5) -> tuple[str, str]:
    """Two texts whose whole conversations have just that share of equal minima."""
    dice = random.Random(seed)
    for _ in range(4_000):
        text = [dice.choice(WORDS) for _ in range(dice.randrange(60, 160))]
        changed = list(text)
        for place in dice.sample(range(len(text)), dice.randrange(3, 9)):
            changed[place] = dice.choice(WORDS)
        one, other = " ".join(text), " ".join(changed)
        whole = [f"{name} begins in its own way {body}" for name, body in (("a", one), ("b", other))]
        if _share(*whole) == share:
            return one, other
    raise AssertionError("no such pair was found")


@pytest.mark.parametrize(("equal", "is_near"), [(44, False), (45, True)])
def test_conversations_are_near_from_seventy_percent_on(equal: int, is_near: bool) -> None:
    assert HASHES == 64
    assert 44 / HASHES < SIMILAR <= 45 / HASHES
    assert _near(*_pair_with(equal / HASHES)) == ([["a", "b"]] if is_near else [])
