"""What an attempt took, read off its event log: time by phase, peak memory, speed; what is not told is absent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from brightrun.contract.actuals import measure
from brightrun.contract.event_data import read_data
from brightrun.contract.job_event import JobEvent
from brightrun.contract.states import JobStatus

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def line(seconds: float, kind: str, status: JobStatus, **data: Any) -> JobEvent:
    return JobEvent(NOON + timedelta(seconds=seconds), kind, status, read_data(kind, data))


EVENTS = [
    line(0, "status", JobStatus.PREPROCESSING),
    line(4, "message", JobStatus.PREPROCESSING, device="CPU (2 threads)", quantization="none", packages={"torch": "2"}),
    line(10, "status", JobStatus.MODEL_LOADED),
    line(25, "evaluation", JobStatus.MODEL_LOADED, loss=3.0, phase="baseline"),
    line(30, "status", JobStatus.TRAINING),
    line(32, "step", JobStatus.TRAINING, tokens=100, tokens_per_second=50.0, memory_bytes=700),
    line(40, "step", JobStatus.TRAINING, tokens=300, tokens_per_second=50.0, memory_bytes=900),
    line(45, "evaluation", JobStatus.TRAINING, loss=2.0, phase="during"),
    line(50, "status", JobStatus.EVALUATING),
    line(70, "status", JobStatus.UPLOADING),
    line(71, "end", JobStatus.COMPLETED),
]


def test_a_whole_run() -> None:
    actuals = measure(EVENTS, launched_at=NOON - timedelta(seconds=7))
    assert actuals is not None
    assert actuals.seconds_by_phase == {
        "provisioning": 7.0, "preprocessing": 10.0, "model_loaded": 20.0, "training": 20.0, "evaluating": 20.0,
        "uploading": 1.0,
    }  # fmt: skip
    assert (actuals.peak_memory_bytes, actuals.steps, actuals.tokens) == (900, 2, 400)
    assert actuals.tokens_per_second == 400 / (2 + 6), "the time of the steps alone"
    assert (actuals.device, actuals.quantization, actuals.versions) == ("CPU (2 threads)", "none", {"torch": "2"})
    assert actuals.completed
    assert actuals.resumed_step is None


def test_a_run_that_was_lost_before_its_first_step() -> None:
    actuals = measure(EVENTS[:4])
    assert actuals is not None
    assert actuals.seconds_by_phase == {"preprocessing": 10.0, "model_loaded": 15.0}
    assert (actuals.peak_memory_bytes, actuals.tokens_per_second, actuals.tokens) == (None, None, None)
    assert (actuals.steps, actuals.completed) == (0, False)


def test_one_that_went_on_says_after_which_step() -> None:
    again = line(31, "message", JobStatus.TRAINING, resumed_step=8)
    actuals = measure([*EVENTS[:5], again, *EVENTS[5:]])
    assert actuals is not None
    assert actuals.resumed_step == 8


def test_clocks_that_differ_take_no_time_back() -> None:
    actuals = measure(EVENTS, launched_at=NOON + timedelta(seconds=30))
    assert actuals is not None
    assert actuals.seconds_by_phase["provisioning"] == 0.0


def test_no_event_log_is_no_measurement() -> None:
    assert measure([], launched_at=NOON) is None
