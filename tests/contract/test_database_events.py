"""Events are stored once, in whatever order and however often they come, and no reader misses one."""

from __future__ import annotations

import random
import threading

import pytest

from brightrun.contract.event_data import MessageData, StatusData, read_data
from brightrun.contract.states import JobStatus
from brightrun.database import attempts, events
from brightrun.database.database import Database
from brightrun.errors import NotFound
from tests.contract.database_rows import NOW, add_job, lease_of, line
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_any_number_of_times(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    lines = [line(number) for number in range(1, 61)]
    deliveries = lines * 3
    rng.shuffle(deliveries)
    with database.session() as session:
        job = add_job(session)
    new = 0
    while deliveries:
        size = rng.randint(1, 25)
        batch, deliveries = deliveries[:size], deliveries[size:]
        with database.session() as session:
            new += events.append_batch(session, job_id=job.id, attempt=1, events=batch, recorded_at=NOW)
    with database.reading() as session:
        stored = events.list_after(session, job.id)
        assert events.acknowledged(session, job.id, 1) == 60
    assert new == len(stored) == 60
    assert {event.sequence: event.data for event in stored} == {event.sequence: event.data.known() for event in lines}


def test_an_event_comes_back_as_it_was_told(database: Database) -> None:
    told = line(3, message="half\x00way", data={"b": 1e-7, "a": {"nested": [1, None, "ü"]}, "loss": float("nan")})
    with database.session() as session:
        job = add_job(session)
        events.append_batch(session, job_id=job.id, attempt=2, events=[told], recorded_at=NOW)
    with database.reading() as session:
        [stored] = events.list_after(session, job.id)
    assert (stored.attempt, stored.sequence, stored.kind, stored.status) == (2, 3, "step", JobStatus.TRAINING)
    assert (stored.happened_at, stored.recorded_at) == (told.timestamp, NOW)
    assert stored.message == "half\ufffdway"
    assert stored.data == {"b": 1e-7, "a": {"nested": [1, None, "ü"]}}, "what is not known is absent"


def test_acknowledged_stops_at_the_first_gap(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        assert events.acknowledged(session, job.id, 1) == 0
        for batch, expected in (([2, 3], 0), ([1], 3), ([5], 3), ([4, 6], 6)):
            told = [line(number) for number in batch]
            events.append_batch(session, job_id=job.id, attempt=1, events=told, recorded_at=NOW)
            assert events.acknowledged(session, job.id, 1) == expected
            assert events.acknowledged(session, job.id, 1, above=min(expected, 2)) == expected
        assert events.acknowledged(session, job.id, 2) == 0


def test_attempts_are_counted_apart(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        for attempt in (1, 2):
            assert events.append_batch(session, job_id=job.id, attempt=attempt, events=[line(1)], recorded_at=NOW) == 1
        assert len(events.list_after(session, job.id)) == 2
        assert len(list(events.event_log(session, job.id, 2))) == 1


def test_the_studios_own_events_are_never_taken_for_repeats(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        for _ in range(2):
            events.append_own(
                session, job_id=job.id, data=MessageData(), status=job.status, happened_at=NOW, message="So"
            )
        assert [event.message for event in events.list_latest(session, job.id, limit=5)] == ["So", "So"]


def test_reading_on_after_an_id(database: Database) -> None:
    with database.session() as session:
        job, other = add_job(session), add_job(session)
        for number in range(1, 11):
            for owner in (job, other):
                events.append_batch(session, job_id=owner.id, attempt=1, events=[line(number)], recorded_at=NOW)
    with database.reading() as session:
        seen: list[int | None] = []
        after = 0
        while page := events.list_after(session, job.id, after=after, limit=3):
            seen += [event.sequence for event in page]
            after = page[-1].id
        assert seen == list(range(1, 11))
        assert [event.sequence for event in events.list_latest(session, job.id, limit=3)] == [8, 9, 10]


def test_no_event_appears_below_an_id_that_was_read(database: Database) -> None:
    """Three writers on one job while a reader follows by id, as a browser does: it sees every event."""
    with database.session() as session:
        job = add_job(session)

    def write(attempt: int) -> None:
        for number in range(1, 31):
            with database.session() as session:
                events.append_batch(session, job_id=job.id, attempt=attempt, events=[line(number)], recorded_at=NOW)

    writers = [threading.Thread(target=write, args=(attempt,)) for attempt in (1, 2, 3)]
    for writer in writers:
        writer.start()
    seen: set[tuple[int | None, int | None]] = set()
    after = 0
    while True:
        writing = any(writer.is_alive() for writer in writers)
        with database.reading() as session:
            page = events.list_after(session, job.id, after=after)
        seen |= {(event.attempt, event.sequence) for event in page}
        after = page[-1].id if page else after
        if not writing and not page:
            break
    assert seen == {(attempt, number) for attempt in (1, 2, 3) for number in range(1, 31)}


def test_events_of_no_job_are_refused(database: Database) -> None:
    with pytest.raises(NotFound), database.session() as session:
        events.append_batch(session, job_id="nobody", attempt=1, events=[line(1)], recorded_at=NOW)


def test_a_late_sign_of_life_takes_nothing_back(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        attempts.open_lease(session, lease_of(job))
        for at, last in ((line(5).timestamp, 5), (line(3).timestamp, 7), (line(4).timestamp, 2)):
            attempts.heard(session, job.id, 1, at=at, last_sequence=last)
        stored = attempts.get(session, job.id, 1)
        assert stored is not None
        assert (stored.last_seen_at, stored.last_sequence) == (line(5).timestamp, 7)


def test_the_newest_events_of_some_kinds_or_without_some(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        for kind, message in (("message", "Disk: 100 % full"), ("step", None), ("checkpoint", "Kept"), ("step", None)):
            events.append_own(
                session,
                job_id=job.id,
                data=read_data(kind, {}),
                status=JobStatus.TRAINING,
                happened_at=NOW,
                message=message,
            )
        found = events.list_latest(session, job.id, kinds=["message", "checkpoint"])
        assert [event.message for event in found] == ["Disk: 100 % full", "Kept"]
        assert events.list_latest(session, job.id, without=["step"]) == found


def test_the_last_stage_before_the_end(database: Database) -> None:
    with database.session() as session:
        job, other = add_job(session), add_job(session)
        assert events.last_stage(session, job.id) is None
        for told in (JobStatus.QUEUED, JobStatus.TRAINING, JobStatus.FAILED):
            events.append_own(session, job_id=job.id, data=StatusData(), status=told, happened_at=NOW)
        events.append_own(session, job_id=other.id, data=StatusData(), status=JobStatus.UPLOADING, happened_at=NOW)
        assert events.last_stage(session, job.id) is JobStatus.TRAINING
