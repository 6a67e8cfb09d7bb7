"""How often the verdict is wrong where nothing changed, and that it sees what did, in the benchmark's simulation."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import verdict as benchmark

from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS

SPREADS = [name for name, spread in benchmark.SPREADS.items() if spread.promised]


@pytest.mark.parametrize("conversations", [7, 12])
def test_no_claim_is_made_too_often_under_a_skewed_spread(conversations: int) -> None:
    """Without the widening it is 7 and 5 %; with Student's t, 11 and 9 %."""
    cell = benchmark.measure("exponential", conversations, 800, resamples=800)
    assert cell.false_better <= 0.025
    assert cell.coverage is not None
    assert cell.coverage >= 0.94


def test_a_real_gain_is_seen() -> None:
    """Twice what is needed for the power of the benchmark, and about what the quickstart shows: on 8 conversations."""
    spread, change = benchmark.SPREADS["unequal, normal"], -6 * benchmark.SPREAD
    judged = benchmark.judged(benchmark.drawn(spread, change, (200, 8), np.random.default_rng(6)), 500)
    assert sum(judgment.verdict == "better" for judgment in judged) >= 190


@pytest.mark.slow
@pytest.mark.parametrize("spread", SPREADS)
def test_false_claims_and_coverage_hold_for_every_promised_spread(spread: str) -> None:
    """At most 2.5 % on each side, and 94 % covered; the draws are the same every time."""
    for conversations in (5, 7, 12, 36):
        cell = benchmark.measure(spread, conversations, 1_000, resamples=500)
        assert max(cell.false_better, cell.false_worse) <= 0.025, cell
        if conversations < MINIMUM_CONVERSATIONS:
            assert (cell.coverage, cell.power) == (None, 0.0)
        else:
            assert cell.coverage is not None
            assert cell.coverage >= 0.94, cell
