"""The interval of a paired change of a share: known values, the exact test of signs, and coverage by enumeration."""

from __future__ import annotations

import math

import pytest

from brightrun.evaluation.paired import paired_interval, share_interval


def test_a_share_s_interval_is_clopper_and_pearson_s() -> None:
    """By hand for none and all of n, where a bound is a power of 0.025."""
    assert share_interval(0, 8) == pytest.approx((0.0, 1 - 0.025 ** (1 / 8)))
    assert share_interval(8, 8) == pytest.approx((0.025 ** (1 / 8), 1.0))
    low, high = share_interval(3, 10)  # the published 0.0667 to 0.6525
    assert (round(low, 4), round(high, 4)) == (0.0667, 0.6525)


def test_nothing_changed_still_has_a_width_that_shrinks_with_the_questions() -> None:
    """Tango's interval for no discordant pairs is z squared over n plus z squared."""
    z2 = 1.959963984540054**2
    for asked in (16, 128, 1000):
        assert paired_interval(0, 0, asked) == pytest.approx((-z2 / (asked + z2), z2 / (asked + z2)), abs=1e-9)


def test_five_of_five_is_chance_and_six_of_six_is_not() -> None:
    assert paired_interval(0, 5, 128)[1] > 0
    assert paired_interval(0, 6, 128)[1] < 0
    assert paired_interval(5, 0, 128)[0] < 0
    assert paired_interval(6, 0, 128)[0] > 0


@pytest.mark.parametrize("asked", [32, 128])
def test_zero_is_left_out_only_where_the_exact_test_of_signs_leaves_it_out(asked: int) -> None:
    for changed in range(1, 30):
        for gained in range(changed // 2 + 1):
            lost = changed - gained
            one_side = sum(math.comb(changed, k) for k in range(gained + 1)) / 2**changed
            if one_side > 0.025:
                assert paired_interval(gained, lost, asked)[1] >= -1e-9, (gained, lost)


def test_gains_and_losses_mirror_each_other() -> None:
    low, high = paired_interval(9, 3, 100)
    assert paired_interval(3, 9, 100) == pytest.approx((-high, -low))
    assert low < 0.06 < high


@pytest.mark.parametrize(("gain", "loss"), [(0.02, 0.02), (0.1, 0.1), (0.05, 0.15), (0.0, 0.05), (0.2, 0.02)])
def test_the_truth_lies_inside_in_95_of_100_cases(gain: float, loss: float) -> None:
    """Over every outcome of 64 questions with its probability: no simulation."""
    asked, inside = 64, 0.0
    for gained in range(asked + 1):
        for lost in range(asked + 1 - gained):
            ways = math.comb(asked, gained) * math.comb(asked - gained, lost)
            probability = ways * gain**gained * loss**lost * (1 - gain - loss) ** (asked - gained - lost)
            if probability > 1e-7:
                low, high = paired_interval(gained, lost, asked)
                inside += probability * (low <= gain - loss <= high)
    assert inside >= 0.945
