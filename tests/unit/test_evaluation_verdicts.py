"""What may be claimed: the verdict of two intervals, and from how many conversations on."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from brightrun.evaluation.bootstrap import Floats, ratio_intervals, resampling_weights
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS, judge, verdict_of


def tables(count: int, conversations: int, *, gain: float = 0.0) -> Floats:
    """Sums by conversation whose relative change spreads by 5 % around minus the gain; lengths differ tenfold."""
    generator = np.random.default_rng(6)
    answers = generator.integers(1, 10, size=(count, conversations))
    base = 3.0 * answers * generator.uniform(0.8, 1.2, size=(count, conversations))
    changes = -gain + generator.normal(scale=0.05, size=(count, conversations))
    return np.stack([base * changes, answers, 100.0 * answers, 100 * base, 100 * base * (1 + changes)], axis=2)


def test_the_verdict_needs_both_intervals_on_one_side() -> None:
    """Every pair of positions of the two intervals; touching zero is not beside it."""
    below, across, above = (-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2)
    touching_from_below, touching_from_above = (-0.2, 0.0), (0.0, 0.2)
    positions = (below, touching_from_below, across, touching_from_above, above)
    for mean, relative in product(positions, repeat=2):
        expected = {(below, below): "better", (above, above): "worse"}.get((mean, relative), "unclear")
        assert verdict_of(*mean, *relative) == expected, (mean, relative)


@pytest.mark.parametrize(("near", "claimed"), [(0.0009, False), (0.001, False), (0.0011, True)])
def test_less_than_a_tenth_of_a_percent_is_no_claim(near: float, *, claimed: bool) -> None:
    """The mean difference is in nats and may be as small as it likes."""
    assert verdict_of(-0.2, -1e-9, -0.2, -near) == ("better" if claimed else "unclear")
    assert verdict_of(1e-9, 0.2, near, 0.2) == ("worse" if claimed else "unclear")


@pytest.mark.parametrize(
    ("conversations", "known"), [(1, False), (MINIMUM_CONVERSATIONS - 1, False), (MINIMUM_CONVERSATIONS, True)]
)
def test_claims_begin_at_six_conversations(conversations: int, known: bool) -> None:
    """Six of six on one side without a change: 1 in 64, which is below 2.5 %; five of five are not."""
    assert MINIMUM_CONVERSATIONS == 6
    assert 0.5**MINIMUM_CONVERSATIONS < 0.025 < 0.5 ** (MINIMUM_CONVERSATIONS - 1)
    for judgment in judge(tables(3, conversations, gain=0.5), seed=1):
        assert [end is not None for end in judgment[:4]] == [known] * 4
        assert judgment.verdict == ("better" if known else "too_few")


def test_the_intervals_are_of_the_difference_per_answer_and_of_the_relative_change() -> None:
    drawn = tables(4, 9)
    weights = resampling_weights(9, seed=5)
    judged = judge(drawn, seed=5)
    mean = ratio_intervals(drawn[:, :, 0], drawn[:, :, 1], weights)
    relative = ratio_intervals(drawn[:, :, 4], drawn[:, :, 3], weights)
    assert np.allclose([judgment.low for judgment in judged], mean[0])
    assert np.allclose([judgment.high for judgment in judged], mean[1])
    assert np.allclose([judgment.relative_low for judgment in judged], relative[0] - 1)
    assert np.allclose([judgment.relative_high for judgment in judged], relative[1] - 1)


def test_a_table_is_judged_alike_alone_and_among_others() -> None:
    drawn = tables(5, 8, gain=0.03)
    together = judge(drawn, seed=2)
    for number in range(5):
        (alone,) = judge(drawn[number : number + 1], seed=2)
        assert alone[:4] == pytest.approx(together[number][:4])
        assert alone.verdict == together[number].verdict


def test_no_loss_falls_by_more_than_all_of_it() -> None:
    drawn = tables(1, 6)
    drawn[0, :, 4] = drawn[0, :, 3] * [0.1, 0.1, 0.1, 1.9, 0.1, 0.1]
    (judgment,) = judge(drawn, seed=1)
    assert judgment.relative_low == -1.0
    assert judgment.verdict == "unclear"


def test_fewer_resamples_are_used_where_they_are_asked_for() -> None:
    (usual,), (few,) = judge(tables(1, 7), seed=1), judge(tables(1, 7), seed=1, resamples=100)
    assert usual.relative_low is not None
    assert usual.relative_low != few.relative_low
    assert few.relative_low == pytest.approx(usual.relative_low, rel=0.5)
