"""Estimate beside actual: only of runs that are the same run, within the band or not, and summed up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from brightrun.contract.actuals import Actuals
from brightrun.jobs.estimate_chart import estimate_errors_chart
from brightrun.planning.calibration import Calibration
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.estimate_error import JobEstimateError, RunKind, compare_job, ratios_of_kind, summarize
from brightrun.planning.job_plan import JobPlan, priced
from tests.unit.job_plans import SECONDS, make_plan

KIND = RunKind(base_model="tiny-llama", device="cpu", device_name="CPU (2 cores)", precision="none")


def took(factor: float = 1.0, **changes: Any) -> Actuals:
    values: dict[str, Any] = {
        "seconds_by_phase": {phase: factor * seconds for phase, seconds in SECONDS.items()},
        "peak_memory_bytes": 2_100_000_000, "tokens_per_second": 12.0, "steps": 10, "tokens": 1000,
        "completed": True, "device": "CPU (2 threads)", "quantization": "none", "versions": {},
    }  # fmt: skip
    return Actuals(**values | changes)


def compared(plan: JobPlan | None = None, actuals: Actuals | None = None, **more: Any) -> JobEstimateError | None:
    return compare_job(plan or make_plan(), actuals or took(), job_id="job-1", name="A job", kind=KIND, **more)


def test_a_job_beside_its_plan() -> None:
    plan = priced(make_plan(), HourlyPrice(usd_per_hour=Decimal("3.60"), source="a test"))
    job = compared(plan, took(1.5), cost_usd=Decimal("0.31"))
    assert job is not None
    assert job.duration is not None
    assert (job.duration.ratio, job.duration.within) == (pytest.approx(1.5), True)
    assert job.training is not None
    assert (job.training.estimate, job.training.actual) == (100.0, 150.0)
    assert job.memory is not None
    assert job.memory.ratio == pytest.approx(1.05)
    assert job.cost is not None
    assert job.cost.estimate == pytest.approx(0.205, rel=0.01)
    assert set(job.phases) == set(SECONDS)
    assert job.ratios["uploading"] == pytest.approx(1.5)


@pytest.mark.parametrize("actual", [took(steps=9), took(completed=False), took(resumed_step=4)])
def test_what_is_not_the_same_run_is_not_compared(actual: Actuals) -> None:
    assert compared(actuals=actual) is None


def test_what_is_not_known_is_absent() -> None:
    job = compared(actuals=took(peak_memory_bytes=None))
    assert job is not None
    assert (job.memory, job.cost) == (None, None)


def test_what_is_trained_on_is_free_of_what_was_trained_on_before() -> None:
    """A corrected estimate of 100 s was 50 s before it was doubled: the run of 150 s took three times as long."""
    calibrated = make_plan(calibrations={"training": Calibration(runs=2, factor=2.0, band=1.5)})
    job = compared(calibrated, took(1.5))
    assert job is not None
    assert job.training is not None
    assert job.training.ratio == pytest.approx(1.5)
    assert job.ratios["training"] == pytest.approx(3.0)
    assert job.used_for_calibration == 2


def test_the_middle_of_all_jobs() -> None:
    jobs = [job for factor in (0.4, 1.1, 1.2) if (job := compared(actuals=took(factor))) is not None]
    duration = next(summary for summary in summarize(jobs) if summary.quantity == "duration")
    assert (duration.jobs, duration.within) == (3, 2)
    assert duration.median_ratio == pytest.approx(1.1)
    assert duration.median_error == pytest.approx(0.2)
    assert "cost" not in {summary.quantity for summary in summarize(jobs)}
    assert summarize([]) == []


def test_only_the_same_kind_teaches() -> None:
    job = compared()
    assert job is not None
    other = job.model_copy(update={"kind": KIND.model_copy(update={"precision": "nf4"})})
    assert ratios_of_kind([job, other], KIND) == [job.ratios]


def test_the_drawing_has_a_line_for_each_job() -> None:
    jobs = [job.model_copy(update={"name": f"job {n}"}) for n in range(3) if (job := compared()) is not None]
    drawn = estimate_errors_chart(jobs, "duration")
    assert drawn is not None
    assert drawn.startswith("<svg")
    assert all(f"job {number}" in drawn for number in range(3))
    assert estimate_errors_chart(jobs, "cost") is None
