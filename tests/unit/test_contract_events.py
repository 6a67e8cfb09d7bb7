"""Events: typed by their kind, kept whole where a newer worker tells more, and put into the same words everywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from brightrun.charts.run_charts import MEASURES
from brightrun.contract import events
from brightrun.contract.describe_event import describe, tone_of
from brightrun.contract.event_data import (
    DATA_OF_KIND,
    EndData,
    EvaluationData,
    EventData,
    MessageData,
    SampleData,
    StepData,
    read_data,
)
from brightrun.contract.events import EventLine, OtherEvent, StepEvent, event_of, parse_event
from brightrun.contract.job_event import JobEvent
from brightrun.contract.messages import EventBatch
from brightrun.contract.states import EndReason, JobStatus
from brightrun.contract.step_metrics import SHOWN, STEP_METRICS, StepMetrics
from brightrun.database.metrics import MetricPoint
from brightrun.database.tables import TrainingMetric
from brightrun.web.api.jobs import Point
from brightrun.web.api.metrics_csv import COLUMNS

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
LINE: dict[str, Any] = {"sequence": 3, "attempt": 1, "timestamp": AT.isoformat(), "status": "training"}
FACTS = {
    "status": {}, "message": {"code": "x", "resumed_step": 4}, "step": {"loss": 1.5, "tokens": 9, "epoch": 0.5},
    "evaluation": {"loss": 2.5, "phase": "during", "answers": 3}, "checkpoint": {"path": "work/x", "bytes": 7},
    "sample": {"done": 1, "total": 8, "phase": "final"}, "artifact": {"name": "a", "bytes": 1, "sha256": "0"},
    "end": {"hint": "Retry.", "kept_step": 6},
}  # fmt: skip


def parsed(**changes: Any) -> events.Event:
    return parse_event(json.dumps(LINE | changes))


@pytest.mark.parametrize("kind", list(DATA_OF_KIND))
def test_each_kind_has_its_class_and_comes_back_as_it_was_told(kind: str) -> None:
    event = parsed(kind=kind, step=2, data=FACTS[kind])
    assert type(event).__name__ == f"{kind.capitalize()}Event"
    assert type(event.data) is DATA_OF_KIND[kind]
    assert event.data.known() == FACTS[kind]
    assert parse_event(event.model_dump_json()) == event
    assert event_of(event.data, **{**LINE, "step": 2}) == event


def test_what_a_newer_worker_tells_is_kept() -> None:
    event = parsed(kind="step", step=2, data={"loss": 1.5, "gpu_celsius": 71}, host={"name": "a"})
    assert isinstance(event, StepEvent)
    assert event.data.unknown_fields == {"gpu_celsius": 71, "host": {"name": "a"}}
    assert json.loads(event.model_dump_json())["data"] == {"loss": 1.5, "gpu_celsius": 71, "host": {"name": "a"}}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("calibration", {"factor": 1.5}),
        ("step", {"loss": "low"}),
        ("sample", {"done": [1]}),
        ("evaluation", {"phase": 7}),
    ],
)
def test_a_kind_or_values_that_are_not_known_are_no_error(kind: str, data: dict[str, Any]) -> None:
    event = parsed(kind=kind, message="So it is", data=data)
    assert isinstance(event, OtherEvent)
    assert (event.kind, event.data.known()) == (kind, data)
    assert type(read_data(kind, data)) is EventData
    batch = EventBatch.model_validate_json(EventBatch.telling("job-1", 1, "m", [event]).model_dump_json())
    assert batch.events == (event,)


@pytest.mark.parametrize("wrong", [{"sequence": 0}, {"status": "dreaming"}, {"kind": None}, {"data": 5}])
def test_a_line_that_is_no_event_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**{"kind": "step"} | wrong)


def test_every_kind_is_a_member_of_the_union() -> None:
    lines = {each for each in vars(events).values() if isinstance(each, type) and issubclass(each, EventLine)}
    kinds = {each.model_fields["kind"].default for each in lines if "kind" in each.model_fields}
    assert kinds - {None} >= set(DATA_OF_KIND)


def test_a_number_that_is_none_counts_as_not_known() -> None:
    assert StepData(loss=float("nan"), grad_norm=float("inf")).known() == {}
    assert StepMetrics(loss=float("nan")).loss is None


def test_table_file_points_and_charts_have_the_fields_of_step_metrics() -> None:
    def own(model: type[BaseModel]) -> set[str]:
        return set(model.model_fields)

    assert tuple(StepMetrics.model_fields) == STEP_METRICS
    assert own(MetricPoint) - {"kind", "step", "recorded_at"} == set(STEP_METRICS)
    assert own(Point) - {"step", "recorded_at"} == set(STEP_METRICS)
    assert ("kind", "step", *STEP_METRICS, "recorded_at") == COLUMNS
    assert set(STEP_METRICS) <= set(TrainingMetric.__table__.columns.keys())
    assert set(MEASURES) == set(SHOWN) == set(STEP_METRICS) - {"epoch"}


@pytest.mark.parametrize(
    ("data", "changes", "text"),
    [
        (
            StepData(loss=1.5, learning_rate=2e-4, grad_norm=0.25, tokens_per_second=812.4, seconds_left=125),
            {"step": 3, "total_steps": 1200},
            "Step 3 of 1,200, loss 1.500, learning rate 0.0002, gradient norm 0.25, 812 tokens/s, 2 min 05 s left",
        ),
        (StepData(), {}, "A step, loss not known"),
        (StepData.model_validate({"loss": 1.5, "gpu_celsius": 71}), {"step": 3}, "Step 3, loss 1.500, gpu celsius 71"),
        (
            EvaluationData(loss=2.0, phase="baseline", answers=1),
            {},
            "Validation loss of the untouched base: 2.000 on 1 answer",
        ),
        (EvaluationData(loss=2.0), {}, "Validation loss: 2.000"),
        (EndData(), {"status": JobStatus.FAILED}, "Failed"),
        (EndData(hint="x"), {"status": JobStatus.FAILED, "message": "It broke."}, "It broke."),
        (MessageData(), {"message": "A [word]."}, "A [word]."),
        (SampleData(done=2, total=4), {}, "Answered validation prompt 2 of 4"),
        (SampleData(done=16, total=128, of="general"), {}, "Answered general question 16 of 128"),
        (SampleData(done=4, total=8, of="training"), {}, "Answered prompt of a training answer 4 of 8"),
    ],
)  # fmt: skip
def test_an_event_in_words(data: EventData, changes: dict[str, Any], text: str) -> None:
    event = JobEvent(AT, data.kind or "", JobStatus.TRAINING, data)._replace(**changes)
    assert describe(event) == text


def test_a_kind_that_is_not_known_is_shown_with_all_it_tells() -> None:
    event = JobEvent.of(parsed(kind="gpu_throttled", data={"celsius": 91.25, "why": "heat", "curve": [1, 2]}))
    assert describe(event) == "Gpu throttled, celsius 91.25, why heat, curve (not shown)"
    assert tone_of(event) == ""


def test_an_event_of_the_api_is_the_same_event() -> None:
    event = parsed(kind="end", status="failed", reason="disk_full", message="Full.", data={"hint": "Free some."})
    shown = {**json.loads(event.model_dump_json()), "happened_at": AT.isoformat(), "id": 7, "job_id": "j"}
    assert JobEvent.of_json(shown) == JobEvent.of(event)
    assert tone_of(JobEvent.of(event)) == "bad"
    assert JobEvent.of(event).reason is EndReason.DISK_FULL


def test_answers_to_something_that_only_a_newer_worker_asks_are_shown_with_all_it_tells() -> None:
    event = JobEvent.of(parsed(kind="sample", data={"done": 2, "total": 9, "of": "riddles"}))
    assert describe(event) == "Sample, done 2, total 9, of riddles"
