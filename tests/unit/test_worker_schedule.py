"""The learning rate is above zero at every step, rises, and falls in the shape it was asked for."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from brightrun.worker.schedule import learning_rate_factor

KINDS = ["cosine", "linear", "constant", "constant_with_warmup"]


def factors(total: int, kind: str, warmup_ratio: float = 0.03) -> list[float]:
    return [
        learning_rate_factor(step, total=total, warmup_ratio=warmup_ratio, kind=kind) for step in range(1, total + 1)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup_ratio", [0.0, 0.03, 0.5, 0.99])
@pytest.mark.parametrize("total", [1, 2, 3, 20, 141])
def test_every_step_learns_something_and_none_more_than_the_peak(total: int, warmup_ratio: float, kind: str) -> None:
    for factor in factors(total, kind, warmup_ratio):
        assert 0.0 < factor <= 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("total", [1, 2, 20])
def test_the_scheduler_may_ask_beyond_the_last_step(total: int, kind: str) -> None:
    """torch computes the rate of the step after the last one, which is never made; a run of one step died of it."""
    assert 0.0 <= learning_rate_factor(total + 1, total=total, warmup_ratio=0.03, kind=kind) <= 1.0


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant_with_warmup"])
def test_warm_up_rises_in_equal_parts_to_the_peak(kind: str) -> None:
    shares = factors(40, kind, warmup_ratio=0.1)[:5]

    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_constant_has_no_warm_up() -> None:
    assert factors(40, "constant", warmup_ratio=0.5) == [1.0] * 40


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_rate_falls_at_every_step_after_the_peak(kind: str) -> None:
    after = factors(50, kind, warmup_ratio=0.1)[5:]

    assert after[0] == 1.0
    assert all(later < earlier for earlier, later in pairwise(after))


def test_cosine_and_linear_are_half_way_down_in_the_middle() -> None:
    for kind in ("cosine", "linear"):
        assert factors(100, kind, warmup_ratio=0.0)[50] == pytest.approx(0.5)


def test_cosine_is_the_formula_of_its_paper() -> None:
    found = factors(10, "cosine", warmup_ratio=0.0)

    assert found == pytest.approx([(1 + math.cos(math.pi * done / 10)) / 2 for done in range(10)])


def test_a_fraction_of_a_warm_up_step_is_a_whole_one() -> None:
    assert factors(20, "linear", warmup_ratio=0.03)[:2] == [0.5, 1.0]
