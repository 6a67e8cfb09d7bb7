"""What earlier runs teach about the next estimate: never one alone, ever more with more of them, and said in words."""

from __future__ import annotations

import math
import random
from decimal import Decimal

import pytest

from brightrun.planning.calibrated_plan import calibrated
from brightrun.planning.calibration import MAX_FACTOR, Calibration, calibrate
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.job_plan import JobPlan, priced
from tests.unit.job_plans import make_plan


@pytest.mark.parametrize("ratios", [[], [3.0]])
def test_one_run_alone_never_corrects(ratios: list[float]) -> None:
    assert calibrate(ratios, band=1.5) is None


def test_two_runs_count_half_and_six_three_quarters() -> None:
    two, six = calibrate([2.0] * 2, band=1.5), calibrate([2.0] * 6, band=1.5)
    assert two is not None
    assert six is not None
    assert math.log(two.factor) == pytest.approx(math.log(2.0) * 2 / 4)
    assert math.log(six.factor) == pytest.approx(math.log(2.0) * 6 / 8)
    assert six.words == "corrected by 6 earlier runs: ×1.68"


def test_many_runs_bring_the_truth_and_their_own_spread() -> None:
    """Actuals 1.3 times the estimates with a spread of 10 %: found again, however wide the first band was."""
    dice = random.Random(5)
    drawn = [1.3 * math.exp(dice.gauss(0, 0.1)) for _ in range(4000)]
    trained = calibrate(drawn, band=3.0)
    assert trained is not None
    assert trained.factor == pytest.approx(1.3, rel=0.01)
    assert math.log(trained.band) == pytest.approx(1.645 * 0.1, rel=0.03)
    inside = sum(trained.factor / trained.band <= ratio <= trained.factor * trained.band for ratio in drawn)
    assert inside / len(drawn) == pytest.approx(0.9, abs=0.015)


def test_few_runs_keep_the_wide_band() -> None:
    few, many = calibrate([1.0, 1.0], band=2.0), calibrate([1.0] * 50, band=2.0)
    assert few is not None
    assert many is not None
    assert many.band < 1.2 < few.band


def test_a_run_that_something_befell_counts_only_so_much() -> None:
    assert calibrate([1.0, 500.0], band=1.5) == calibrate([1.0, math.exp(MAX_FACTOR)], band=1.5)


def test_a_plan_is_corrected_phase_by_phase_and_says_so() -> None:
    plan = make_plan()
    history = [{"training": 2.0, "evaluating": 0.5}] * 2 + [{"uploading": 9.0}]
    after = calibrated(plan, history)
    assert set(after.calibrations) == {"training", "evaluating"}
    root = math.sqrt(2.0)
    for phase, factor in {"training": root, "evaluating": 1 / root, "uploading": 1.0, "model_loaded": 1.0}.items():
        before, now = plan.phases[phase], after.phases[phase]  # type: ignore[index]
        assert now.expected_seconds == pytest.approx(before.expected_seconds * factor)
    assert "corrected by 2 earlier runs: ×1.41" in after.phases["training"].obtained
    total = sum(phase.expected_seconds for phase in after.phases.values())
    assert after.duration.expected_seconds == pytest.approx(total)
    assert f"corrected by 2 earlier runs: ×{total / plan.duration.expected_seconds:.2f}" in after.duration.obtained
    assert after.tokens_per_second == pytest.approx(plan.tokens_per_second / root)
    assert after.training.expected_seconds == pytest.approx(plan.training.expected_seconds * root)
    assert JobPlan.model_validate(after.model_dump(mode="json")) == after, "a row can keep it"


def test_the_cost_follows_the_corrected_time() -> None:
    price = HourlyPrice(usd_per_hour=Decimal("3.60"), source="a test")
    plan = priced(make_plan(), price)
    after = calibrated(plan, [{"training": 2.0}] * 2)
    assert after.cost is not None
    assert plan.cost is not None
    assert after.cost.usd_per_hour == Decimal("3.60")
    assert after.cost == priced(after, price).cost
    assert after.cost.expected_usd > plan.cost.expected_usd


@pytest.mark.parametrize("history", [[], [{"training": 2.0}], [{"unknown": 2.0}] * 5])
def test_without_enough_to_learn_from_a_plan_stays_as_it_is(history: list[dict[str, float]]) -> None:
    plan = make_plan()
    assert calibrated(plan, history) is plan


def test_a_correction_is_of_at_least_two_runs() -> None:
    with pytest.raises(ValueError, match="runs"):
        Calibration(runs=1, factor=1.0, band=1.0)
