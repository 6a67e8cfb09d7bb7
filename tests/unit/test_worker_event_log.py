"""The event log: numbered without gaps over attempts, whole lines or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic_core import PydanticSerializationError

from brightrun.contract.event_data import EndData, MessageData, StepData
from brightrun.contract.events import Event, read_event_log
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import ContractError
from brightrun.worker.event_log import EventLog


@contextmanager
def event_log_at(path: Path, attempt: int | None = None) -> Iterator[EventLog]:
    with closing(EventLog(path, attempt=attempt)) as event_log:
        yield event_log


def events_of(path: Path) -> list[Event]:
    return list(read_event_log(path))


def test_events_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as event_log:
        event_log.total_steps = 9
        event_log.enter(JobStatus.TRAINING, "Training “warmly” – 9 steps.")
        event_log.write(StepData(loss=1.25), step=1)
        event_log.end(JobStatus.FAILED, "It ended.", EndData(hint="Free some space."), reason=EndReason.DISK_FULL)

    status, step, end = events_of(path)
    assert (status.kind, status.status, status.message) == (
        "status",
        JobStatus.TRAINING,
        "Training “warmly” – 9 steps.",
    )
    assert (step.step, step.total_steps, step.data.known()["loss"]) == (1, 9, 1.25)
    assert (end.kind, end.status, end.reason) == ("end", JobStatus.FAILED, EndReason.DISK_FULL)
    assert end.data == EndData(hint="Free some space.")
    assert all(event.timestamp.utcoffset() is not None for event in (status, step, end))


def test_a_second_attempt_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as first:
        first.enter(JobStatus.TRAINING, "one")
        first.say("two")
    with event_log_at(path) as second:
        assert second.status is JobStatus.TRAINING
        second.say("three")

    told = events_of(path)
    assert [event.sequence for event in told] == [1, 2, 3]
    assert [event.attempt for event in told] == [1, 1, 2]
    assert told[2].status is JobStatus.TRAINING


def test_a_studio_may_name_the_attempt(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as first:
        first.say("on the first machine")
    with event_log_at(path, attempt=5) as fifth:
        fifth.say("on the fifth")

    assert [(event.sequence, event.attempt) for event in events_of(path)] == [(1, 1), (2, 5)]


@pytest.mark.parametrize("kept_bytes", [1, 20, -1])
def test_half_a_line_of_a_killed_process_is_cut(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as first:
        first.say("whole")
        first.say("half")
    whole, half = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(whole + half[:kept_bytes])

    with event_log_at(path) as second:
        second.say("after")

    told = events_of(path)
    assert [event.message for event in told] == ["whole", "after"]
    assert [event.sequence for event in told] == [1, 2]


def test_a_event_log_of_half_a_line_alone_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"sequence": 1, "att')

    with event_log_at(path) as event_log:
        assert (event_log.attempt, event_log.status) == (1, JobStatus.QUEUED)
        event_log.say("first")

    assert [event.sequence for event in events_of(path)] == [1]


def test_a_whole_line_that_is_no_event_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"sequence": 1}\n')

    with pytest.raises(ContractError, match=r"events\.jsonl line 1"):
        EventLog(path)

    assert path.read_bytes() == b'{"sequence": 1}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_has_not_is_told_as_unknown(tmp_path: Path, value: float) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as event_log:
        event_log.write(StepData(loss=value, tokens=5), step=1)

    (event,) = events_of(path)
    assert event.data == StepData(tokens=5)
    assert "loss" not in path.read_text(encoding="utf-8")


def test_an_event_that_cannot_be_written_leaves_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as event_log:
        event_log.say("before")
        with pytest.raises(PydanticSerializationError):
            event_log.say("never written", MessageData.model_validate({"thing": object()}))
        event_log.say("after")

    assert [(event.sequence, event.message) for event in events_of(path)] == [(1, "before"), (2, "after")]


def test_a_reader_sees_each_event_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with event_log_at(path) as event_log:
        for number in (1, 2, 3):
            event_log.write(StepData(loss=1.0), step=number)
            assert [event.step for event in read_event_log(path, after=number - 1)] == [number]
