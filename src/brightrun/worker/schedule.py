"""How the learning rate rises and falls over a run. Pure arithmetic."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, *, total: int, warmup_ratio: float, kind: str) -> float:
    """Share of the peak learning rate that step `step` (from 1) of `total` is made with; above 0 for every step.

    The usual schedules start at 0, so that their first step changes nothing, which a run of 20 steps feels. Here the
    warm-up of w = ceil(total × ratio) steps uses 1/(w+1) … w/(w+1), and the step after it has the peak. Cosine as in
    SGDR (arXiv 1608.03983) without restarts.
    """
    warmup = 0 if kind == "constant" else math.ceil(total * warmup_ratio)
    if step <= warmup:
        return step / (warmup + 1)
    if kind in {"constant", "constant_with_warmup"}:
        return 1.0
    progress = (step - warmup - 1) / max(total - warmup, 1)  # the scheduler asks once beyond the last step
    return 1.0 - progress if kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
