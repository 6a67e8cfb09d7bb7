"""What past runs teach the next plan, kind by kind, in figures and words. The learning is correction.py's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brightrun.planning.calibration import MIN_RUNS, calibrate
from brightrun.planning.estimate_error import JobEstimateError, RunKind, ratios_of_kind
from brightrun.planning.phases import PHASES, Phase

_ANY_BAND = 2.0  # the factor does not depend on it


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """A kind of run, how many there were, and what the next plan's times are multiplied with, phase by phase.

    Empty where there are too few to learn from.
    """

    kind: RunKind
    runs: int
    factors: dict[Phase, float]

    @property
    def words(self) -> str:
        """For people: what the next plan of this kind does differently, and why."""
        if not self.factors:
            return f"{self.runs} run so far; the next plan learns from {MIN_RUNS} or more, since one may be odd."
        factor = self.factors.get("training")
        if factor is None:
            return f"{self.runs} runs so far; none of them shows how long the steps take."
        change = round((factor - 1) * 100)
        if change == 0:
            return f"{self.runs} runs so far, and the steps took what was expected; the next plan counts the same."
        by = f"{abs(change)} % {'longer' if change > 0 else 'shorter'} (×{factor:.2f})"
        return f"{self.runs} runs so far; the next plan counts the steps {by}."


def summarize_calibration(jobs: Iterable[JobEstimateError]) -> list[CalibrationSummary]:
    """One for each kind of run, the most taught first.

    The factors are those that `planning.corrected` gives the next plan of that kind.
    """
    listed = list(jobs)
    kinds = dict.fromkeys(job.kind for job in listed)
    made = [_summary_of(listed, kind) for kind in kinds]
    return sorted(made, key=lambda summary: -summary.runs)


def _summary_of(jobs: list[JobEstimateError], kind: RunKind) -> CalibrationSummary:
    ratios = ratios_of_kind(jobs, kind)
    trained = {phase: calibrate([run[phase] for run in ratios if phase in run], band=_ANY_BAND) for phase in PHASES}
    factors = {phase: calibration.factor for phase, calibration in trained.items() if calibration is not None}
    return CalibrationSummary(kind, len(ratios), factors)
