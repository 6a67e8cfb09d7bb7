"""The interval for few conversations: its parts against formulas written out, and that it is as wide as it must be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from brightrun.evaluation.bootstrap import (
    RESAMPLES,
    Floats,
    _studentized,
    ratio_intervals,
    resampling_weights,
    student_quantile,
    widening,
)

STUDENT_95 = {1: 12.706, 2: 4.303, 4: 2.776, 5: 2.571, 6: 2.447, 9: 2.262, 30: 2.042, 120: 1.980}
"""Two-sided 95 % quantiles of Student's distribution by degrees of freedom; any table of it."""


def data_sets(count: int, clusters: int, *, seed: int = 4) -> tuple[Floats, Floats]:
    """Numerators and denominators of clusters whose sizes differ."""
    generator = np.random.default_rng(seed)
    sizes = generator.uniform(1, 6, size=(count, clusters))
    return sizes * (generator.exponential(size=(count, clusters)) - 1.2), sizes


@pytest.mark.parametrize(("freedom", "quantile"), STUDENT_95.items())
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.95, freedom) == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize(("confidence", "quantile"), [(0.5, 0.7176), (0.8, 1.4398), (0.9, 1.9432), (0.99, 3.7074)])
def test_students_quantiles_for_other_shares(confidence: float, quantile: float) -> None:
    """Of 6 degrees of freedom."""
    assert student_quantile(confidence, 6) == pytest.approx(quantile, abs=1e-4)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert student_quantile(0.95, 10_000_000) == student_quantile(0.95, 1_000) == pytest.approx(1.9623, abs=1e-4)


def test_weights_spread_like_counts_of_clusters_drawn_with_replacement() -> None:
    """In units of one cluster: mean 1, variance and skewness about 1, and none is zero."""
    weights = resampling_weights(300, seed=2, resamples=2_000)
    assert weights.shape == (2_000, 300)
    assert weights.sum(axis=1) == pytest.approx(1.0)
    assert weights.min() > 0
    shares = weights * 300
    assert shares.var() == pytest.approx(1.0, abs=0.02)
    assert np.mean((shares - 1) ** 3) == pytest.approx(1.0, abs=0.05)


def test_the_seed_decides_the_weights_and_there_are_ten_thousand() -> None:
    first = resampling_weights(6, seed=3)
    assert first.shape == (RESAMPLES, 6) == (10_000, 6)
    assert np.array_equal(first, resampling_weights(6, seed=3))
    assert not np.array_equal(first, resampling_weights(6, seed=4))


def written_out(numerators: Floats, denominators: Floats, weights: Floats, confidence: float) -> tuple[float, float]:
    """The interval of one data set, resample by resample."""
    ratio = numerators.sum() / denominators.sum()
    scores = []
    for weight in weights:
        drawn = (weight @ numerators) / (weight @ denominators)
        residual = numerators - drawn * denominators
        error = math.sqrt(weight @ residual**2) / (weight @ denominators)
        scores.append((drawn - ratio) / error)
    clusters = len(numerators)
    error = math.sqrt(np.mean((numerators - ratio * denominators) ** 2)) / denominators.mean()
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    student = student_quantile(confidence, clusters - 1) / math.sqrt(clusters - 1)
    effective = denominators.sum() ** 2 / (denominators**2).sum()
    factor = 1 + 12 / (effective + 4)
    return ratio - factor * max(high, student) * error, ratio + factor * max(-low, student) * error


@pytest.mark.parametrize("clusters", [6, 7, 12])
def test_intervals_are_those_written_out_one_by_one(clusters: int) -> None:
    numerators, denominators = data_sets(8, clusters)
    weights = resampling_weights(clusters, seed=1, resamples=400)
    low, high = ratio_intervals(numerators, denominators, weights)
    for number in range(8):
        expected = written_out(numerators[number], denominators[number], weights, 0.95)
        assert (low[number], high[number]) == pytest.approx(expected, rel=1e-9)
    low, high = ratio_intervals(numerators, denominators, weights, confidence=0.8)
    assert (low[0], high[0]) == pytest.approx(written_out(numerators[0], denominators[0], weights, 0.8), rel=1e-9)


def test_the_interval_reaches_farther_to_the_side_where_its_clusters_do() -> None:
    """And never less far than Student's t, widened, on either."""
    weights = resampling_weights(12, seed=1)
    values = np.array([[*np.linspace(-1, 1, 11), 9.0]])
    ones = np.ones_like(values)
    low, high = ratio_intervals(values, ones, weights)
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(12)
    student = 1.75 * student_quantile(0.95, 11) * error
    assert mean - low[0] == pytest.approx(student)
    assert high[0] - mean > 2 * student
    mirrored_low, mirrored_high = ratio_intervals(-values, ones, weights)
    assert (mirrored_low[0], mirrored_high[0]) == pytest.approx((-high[0], -low[0]))


def test_a_shift_moves_the_interval_and_a_unit_scales_it() -> None:
    numerators, denominators = data_sets(3, 8)
    weights = resampling_weights(8, seed=1, resamples=500)
    low, high = ratio_intervals(numerators, denominators, weights)
    shifted = ratio_intervals(numerators + 0.5 * denominators, denominators, weights)
    assert np.allclose(shifted, (low + 0.5, high + 0.5))
    assert np.allclose(ratio_intervals(3 * numerators, 10 * denominators, weights), (0.3 * low, 0.3 * high))


def test_without_any_spread_the_interval_is_the_change() -> None:
    sizes = np.array([[3.0, 1.0, 2.0, 5.0, 8.0, 4.0]])
    weights = resampling_weights(6, seed=1)
    for change in (0.0, -0.25, 0.1):
        low, high = ratio_intervals(change * sizes, sizes, weights)
        assert (low[0], high[0]) == pytest.approx((change, change), abs=1e-12)


def test_a_resample_of_one_cluster_alone_is_far_away_and_finite() -> None:
    """Its own spread is zero; weights are never quite that extreme."""
    residuals, sizes = np.array([[2.0, -1.0, -1.0]]), np.ones((1, 3))
    alone = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert _studentized(residuals, sizes, alone)[0] == pytest.approx([1e6, -1e6, 0.0])
    assert np.array_equal(_studentized(0 * residuals, sizes, alone), np.zeros((1, 3)))


@pytest.mark.parametrize(("clusters", "factor"), [(6, 2.2), (8, 2.0), (12, 1.75), (20, 1.5), (116, 1.1)])
def test_the_widening_of_equal_clusters(clusters: int, factor: float) -> None:
    assert widening(np.full((2, clusters), 7.0)) == pytest.approx([factor, factor])


def test_a_cluster_larger_than_all_others_counts_for_itself_alone() -> None:
    assert widening(np.array([[1.0, 1.0, 1.0, 9.0]])) == pytest.approx(1 + 12 / (144 / 84 + 4))
    assert widening(np.array([[1e-9] * 11 + [1.0]])) == pytest.approx(1 + 12 / 5)
