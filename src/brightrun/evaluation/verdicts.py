"""What may be claimed of a change, from sums by conversation: two intervals and the verdict made of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from brightrun.contract.verdicts import ChangeVerdict
from brightrun.evaluation.bootstrap import RESAMPLES, Floats, ratio_intervals, resampling_weights

MINIMUM_CONVERSATIONS = 6
"""Without any change, five of five conversations lie on the same side in one case of 32 on each side, which is more
than the 2.5 % that a claim may be wrong; six of six do in one of 64."""

SMALLEST_CHANGE = 0.001
"""Of the loss. Texts can only call less "less than 0.1 %": nothing to act on, however surely it was measured."""

IntervalMethod = Literal["expanded_percentile", "bootstrap_t"]
"""How a comparison's intervals were made: until version 0.1 the first, from conversations of 5 on."""
METHOD: IntervalMethod = "bootstrap_t"

DIFFERENCE, ANSWERS, TOKENS, BASE_NATS, TUNED_NATS = range(5)
"""Columns of a table of sums: loss differences, answers, trained tokens, base nats, tuned nats."""


class Judgment(NamedTuple):
    """95 % intervals of the mean difference per answer and of the relative change, and the verdict; no interval
    where there are too few conversations."""

    low: float | None
    high: float | None
    relative_low: float | None
    relative_high: float | None
    verdict: ChangeVerdict


def judge(tables: Floats, *, seed: int, resamples: int = RESAMPLES) -> list[Judgment]:
    """Intervals and verdict of every table; one in the product, many at once where they are simulated.

    Args:
        tables: One row of sums per conversation, shape (tables, conversations, 5), the columns above.
        seed: Of the resampling; every table is resampled alike.
        resamples: Fewer than usual only for simulations.
    """
    count, conversations, _ = tables.shape
    if conversations < MINIMUM_CONVERSATIONS:
        return [Judgment(None, None, None, None, "too_few")] * count
    weights = resampling_weights(conversations, seed=seed, resamples=resamples)
    base = tables[..., BASE_NATS]
    mean = ratio_intervals(tables[..., DIFFERENCE], tables[..., ANSWERS], weights)
    relative = ratio_intervals(tables[..., TUNED_NATS] - base, base, weights)
    bounds = np.stack([*mean, np.maximum(relative[0], -1.0), relative[1]], axis=1)  # no loss falls by more than all
    return [_judgment(*row) for row in bounds.tolist()]


def _judgment(low: float, high: float, relative_low: float, relative_high: float) -> Judgment:
    return Judgment(low, high, relative_low, relative_high, verdict_of(low, high, relative_low, relative_high))


def verdict_of(low: float, high: float, relative_low: float, relative_high: float) -> ChangeVerdict:
    """Better or worse only where both intervals lie on the same side of zero, so that no two figures disagree, and
    the whole interval of the relative change is beyond the smallest that is worth a claim."""
    if high < 0 and relative_high < -SMALLEST_CHANGE:
        return "better"
    if low > 0 and relative_low > SMALLEST_CHANGE:
        return "worse"
    return "unclear"
