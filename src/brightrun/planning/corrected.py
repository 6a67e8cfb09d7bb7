"""A plan corrected by what earlier runs of its kind took, phase by phase; it says so in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from brightrun.planning.correction import Correction, learn
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.job_plan import JobPlan, Phase, priced

_WIDE = 2.0  # half width of a band that reaches down to zero, as a factor


def corrected(plan: JobPlan, history: Sequence[Mapping[str, float]]) -> JobPlan:
    """The plan with the times that earlier runs teach; as it is where fewer than two teach anything.

    Args:
        plan: Not corrected yet.
        history: For each earlier run of this kind, actual by uncorrected estimate of every phase that is known.
    """
    learnt = {phase: _learn(phase, duration, history) for phase, duration in plan.phases.items()}
    corrections = {phase: correction for phase, correction in learnt.items() if correction is not None}
    if not corrections:
        return plan
    phases = {
        phase: _times(duration, corrections[phase]) if phase in corrections else duration
        for phase, duration in plan.phases.items()
    }
    speed = corrections["training"].factor if "training" in corrections else 1.0
    duration = in_sequence(phases.values(), f"the sum of the phases, {_words(plan, phases, corrections)}")
    changed = plan.model_copy(
        update={
            "phases": phases,
            "duration": duration,
            "training": _times(plan.training, corrections["training"]) if "training" in corrections else plan.training,
            "tokens_per_second": plan.tokens_per_second / speed,
            "checkpoint_seconds": plan.checkpoint_seconds * speed,
            "restart_seconds": phases["provisioning"].expected_seconds + phases["preprocessing"].expected_seconds,
            "corrections": corrections,
        }
    )
    return priced(changed, _price(plan))


def _learn(phase: Phase, duration: Duration, history: Sequence[Mapping[str, float]]) -> Correction | None:
    if duration.expected_seconds <= 0:
        return None
    low, high = duration.low_seconds, duration.high_seconds
    band = math.sqrt(high / low) if 0 < low <= high else _WIDE
    return learn([run[phase] for run in history if phase in run], band=band)


def _times(duration: Duration, correction: Correction) -> Duration:
    expected = duration.expected_seconds * correction.factor
    return Duration(
        expected_seconds=expected,
        low_seconds=expected / correction.band,
        high_seconds=expected * correction.band,
        obtained=f"{duration.obtained}; {correction.words}",
    )


def _words(plan: JobPlan, phases: Mapping[Phase, Duration], corrections: Mapping[Phase, Correction]) -> str:
    """Over the whole run: `corrected by 6 earlier runs: ×1.12`."""
    before = sum(phase.expected_seconds for phase in plan.phases.values())
    after = sum(phase.expected_seconds for phase in phases.values())
    runs = max(correction.runs for correction in corrections.values())
    return f"corrected by {runs} earlier runs: ×{after / before:.2f}"


def _price(plan: JobPlan) -> HourlyPrice | None:
    cost = plan.cost
    if cost is None:
        return None
    return HourlyPrice(
        usd_per_hour=cost.usd_per_hour,
        date=cost.price_date,
        source=cost.price_source,
        instance_type=cost.instance_type,
    )
