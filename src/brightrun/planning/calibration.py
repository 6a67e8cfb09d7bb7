"""How earlier runs correct an estimate: a factor and a band, learned from ratios of actual to estimate. Pure.

One run alone never corrects: it may have been the odd one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

PRIOR_RUNS = 2.0
"""How many runs the belief "the estimate is right" weighs; chosen so that two runs count half, six three quarters."""
MIN_RUNS = 2
MAX_FACTOR = math.log(4.0)
"""A run that took over four times its estimate, or under a quarter, counts as four: something else befell it."""
_BAND = 1.645  # standard deviations on both sides that hold 90 % of a normal distribution


class Calibration(BaseModel):
    """What an estimate is multiplied with, and how far the next run may lie from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: int = Field(ge=MIN_RUNS, description="Earlier runs it was fitted to.")
    factor: float = Field(gt=0)
    band: float = Field(ge=1, description="The next run lies within factor ÷ band to factor × band, 9 times in 10.")

    @property
    def words(self) -> str:
        """As the plan says it: `corrected by 6 earlier runs: ×1.12`."""
        return f"corrected by {self.runs} earlier runs: ×{self.factor:.2f}"


def calibrate(ratios: Sequence[float], *, band: float) -> Calibration | None:
    """The correction of an estimate; None where there are fewer than two runs.

    Ratios of actual to estimate are taken as log-normal about an unknown bias μ. The belief before any run is μ = 0
    with the weight of k = `PRIOR_RUNS` runs, so that with n runs of mean log ratio r̄ the expected bias is
    n r̄ / (n + k): the normal-normal estimate (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.5,
    equations 2.11 and 2.12, with prior variance σ²/k). The variance is estimated alike: k times that of the
    estimate's own band and the runs' squares about their mean, by k + n − 1 (section 3.3). The next run's is
    σ² (1 + 1/(n + k)).

    Args:
        ratios: Actual by uncorrected estimate of each run, all above 0.
        band: Half width of the estimate's own band as a factor, 1 or more.
    """
    if len(ratios) < MIN_RUNS:
        return None
    logs = [min(max(math.log(ratio), -MAX_FACTOR), MAX_FACTOR) for ratio in ratios]
    n, k = len(logs), PRIOR_RUNS
    mean = sum(logs) / n
    prior_variance = (math.log(band) / _BAND) ** 2
    squares = sum((log - mean) ** 2 for log in logs)
    variance = (k * prior_variance + squares) / (k + n - 1)
    spread = math.sqrt(variance * (1 + 1 / (n + k)))
    return Calibration(runs=n, factor=math.exp(n * mean / (n + k)), band=math.exp(_BAND * spread))
