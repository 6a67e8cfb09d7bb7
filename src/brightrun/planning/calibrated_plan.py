"""A plan corrected by what earlier runs of its kind took, phase by phase; it says so in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from brightrun.planning.calibration import Calibration, calibrate
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.job_plan import JobPlan, Phase, priced

_WIDE = 2.0  # half width of a band that reaches down to zero, as a factor


def calibrated(plan: JobPlan, history: Sequence[Mapping[str, float]]) -> JobPlan:
    """The plan with the times that earlier runs teach; as it is where fewer than two teach anything.

    Args:
        plan: Not corrected yet.
        history: For each earlier run of this kind, actual by uncorrected estimate of every phase that is known.
    """
    trained = {phase: _calibrate(phase, duration, history) for phase, duration in plan.phases.items()}
    calibrations = {phase: calibration for phase, calibration in trained.items() if calibration is not None}
    if not calibrations:
        return plan
    phases = {
        phase: _times(duration, calibrations[phase]) if phase in calibrations else duration
        for phase, duration in plan.phases.items()
    }
    speed = calibrations["training"].factor if "training" in calibrations else 1.0
    duration = in_sequence(phases.values(), f"the sum of the phases, {_words(plan, phases, calibrations)}")
    changed = plan.model_copy(
        update={
            "phases": phases,
            "duration": duration,
            "training": _times(plan.training, calibrations["training"])
            if "training" in calibrations
            else plan.training,
            "tokens_per_second": plan.tokens_per_second / speed,
            "checkpoint_seconds": plan.checkpoint_seconds * speed,
            "restart_seconds": phases["provisioning"].expected_seconds + phases["preprocessing"].expected_seconds,
            "calibrations": calibrations,
        }
    )
    return priced(changed, _price(plan))


def _calibrate(phase: Phase, duration: Duration, history: Sequence[Mapping[str, float]]) -> Calibration | None:
    if duration.expected_seconds <= 0:
        return None
    low, high = duration.low_seconds, duration.high_seconds
    band = math.sqrt(high / low) if 0 < low <= high else _WIDE
    return calibrate([run[phase] for run in history if phase in run], band=band)


def _times(duration: Duration, calibration: Calibration) -> Duration:
    expected = duration.expected_seconds * calibration.factor
    return Duration(
        expected_seconds=expected,
        low_seconds=expected / calibration.band,
        high_seconds=expected * calibration.band,
        obtained=f"{duration.obtained}; {calibration.words}",
    )


def _words(plan: JobPlan, phases: Mapping[Phase, Duration], calibrations: Mapping[Phase, Calibration]) -> str:
    """Over the whole run: `corrected by 6 earlier runs: ×1.12`."""
    before = sum(phase.expected_seconds for phase in plan.phases.values())
    after = sum(phase.expected_seconds for phase in phases.values())
    runs = max(calibration.runs for calibration in calibrations.values())
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
