"""The interval for few conversations: its width, how often it covers the truth, and the verdict made of two of them."""

from __future__ import annotations

import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from brightrun.evaluation.bootstrap import RESAMPLES, interval, resampled_totals, student_quantile
from brightrun.evaluation.comparison import MINIMUM_CONVERSATIONS, _bounds, _verdict

STUDENT_95 = {4: 2.776, 5: 2.571, 6: 2.447, 9: 2.262}
"""Two-sided 95 % quantiles of Student's distribution by degrees of freedom; any table of it."""
NORMAL = np.array([NormalDist().inv_cdf((k + 0.5) / 400_000) for k in range(400_000)])


@pytest.mark.parametrize(("freedom", "quantile"), STUDENT_95.items())
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.95, freedom) == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize("clusters", [5, 6, 7, 10])
def test_the_interval_is_wider_than_the_plain_percentiles_by_students_factor(clusters: int) -> None:
    """Of exactly normal resamples it reaches sqrt(n / (n - 1)) × t(n - 1), where the plain one reaches 1.96."""
    expected = math.sqrt(clusters / (clusters - 1)) * STUDENT_95[clusters - 1]
    low, high = interval(NORMAL, clusters=clusters)
    assert high == pytest.approx(expected, rel=0.01)
    assert low == pytest.approx(-expected, rel=0.01)
    plain_low, plain_high = np.quantile(NORMAL, [0.025, 0.975])
    assert (high - low) / (plain_high - plain_low) == pytest.approx(expected / 1.95996, rel=0.01)


@pytest.mark.parametrize("clusters", [5, 6, 7, 10])
def test_the_interval_covers_the_truth_as_often_as_it_says(clusters: int) -> None:
    """2,000 samples whose true mean is 0; a plain percentile interval misses it far more often than 1 time in 20."""
    samples = np.random.default_rng(clusters).normal(size=(2_000, clusters))
    weights = resampled_totals(np.eye(clusters), seed=1)
    assert weights.shape == (RESAMPLES, clusters)
    covered = plain = 0
    for sample in samples:
        means = weights @ sample / clusters
        low, high = interval(means, clusters=clusters)
        covered += low <= 0 <= high
        plain_low, plain_high = np.quantile(means, [0.025, 0.975])
        plain += plain_low <= 0 <= plain_high
    assert 0.925 <= covered / 2_000 <= 0.975
    assert plain < covered
    assert plain / 2_000 < {5: 0.87, 6: 0.88, 7: 0.89, 10: 0.92}[clusters]


def test_the_verdict_needs_both_intervals_on_one_side() -> None:
    """Every pair of positions of the two intervals; touching zero is not beside it."""
    below, across, above = (-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2)
    touching_from_below, touching_from_above = (-0.2, 0.0), (0.0, 0.2)
    positions = (below, touching_from_below, across, touching_from_above, above)
    for mean, relative in product(positions, repeat=2):
        expected = {(below, below): "better", (above, above): "worse"}.get((mean, relative), "unclear")
        assert _verdict((*mean, *relative)) == expected, (mean, relative)


def test_a_bound_that_is_not_known_is_too_few() -> None:
    for missing in range(4):
        bounds: list[float | None] = [-0.2, -0.1, -0.2, -0.1]
        bounds[missing] = None
        assert _verdict((bounds[0], bounds[1], bounds[2], bounds[3])) == "too_few"


@pytest.mark.parametrize(
    ("conversations", "known"), [(MINIMUM_CONVERSATIONS - 1, False), (MINIMUM_CONVERSATIONS, True)]
)
def test_intervals_begin_at_five_conversations(conversations: int, known: bool) -> None:
    assert MINIMUM_CONVERSATIONS == 5
    row = [-1.0, 2.0, 10.0, 30.0, 25.0]
    table = np.array([[value + 0.01 * number for value in row] for number in range(conversations)])
    assert all((bound is not None) is known for bound in _bounds(table, seed=1))
