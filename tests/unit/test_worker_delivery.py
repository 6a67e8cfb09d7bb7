"""Every line of a event log reaches the studio, whatever happens on the way. The clock is passed in; nothing sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from brightrun.contract.event_data import StepData
from brightrun.contract.messages import EventBatch, WebhookReply
from brightrun.contract.signatures import job_secret, verify
from brightrun.contract.states import EndReason, JobStatus
from brightrun.worker.delivery import HEARTBEAT, MAX_EVENTS, Delivery
from brightrun.worker.event_log import EventLog
from brightrun.worker.event_log_reader import EventLogReader, Span
from brightrun.worker.job_record import JobRecord, RecordBook

SECRET = job_secret("master", "job-1")
Answer = Callable[[EventBatch], httpx.Response]


class World:
    """A event log, a clock, and a studio that keeps what it is sent; `script` is what happens to the next requests."""

    def __init__(self, folder: Path, *, spans: tuple[Span, ...] = (Span(attempt=1, begins_after=0),)) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.path = folder / "events.jsonl"
        self.event_log = EventLog(self.path)
        self.alive, self.stopped = True, 0
        self.stored: dict[int, set[int]] = {}
        self.batches: list[EventBatch] = []
        self.message_ids: list[str] = []
        self.script: list[Answer | Exception] = []
        self.book = RecordBook(
            folder,
            JobRecord(
                job_id="job-1", spans=spans, started_at=self.now, webhook_url="https://studio.example/hook",
                webhook_secret=SecretStr(SECRET),
            ),
        )  # fmt: skip
        self.delivery = self.new_delivery()

    def new_delivery(self) -> Delivery:
        return Delivery(
            self.book, EventLogReader(self.path), worker="machine-7", alive=lambda: self.alive, stop=self._stop,
            now=lambda: self.now, transport=httpx.MockTransport(self._studio), chance=random.Random(1),
        )  # fmt: skip

    def write(self, count: int) -> None:
        for _ in range(count):
            self.event_log.write(StepData(loss=1.0), step=1)

    def end(self) -> None:
        self.event_log.end(JobStatus.FAILED, "Over.", reason=EndReason.INTERRUPTED)
        self.alive = False

    def settle(self, *, within: timedelta = timedelta(minutes=10)) -> None:
        """Look as often as the delivery asks for, the clock going on by what it asks for."""
        until = self.now + within
        while self.now < until and not self.delivery.finished():
            self.now += self.delivery.poll()

    def keep(self, batch: EventBatch) -> int:
        stored = self.stored.setdefault(batch.attempt, set())
        stored.update(event.sequence for event in batch.events)
        return next(number for number in range(len(stored) + 1) if number + 1 not in stored)

    def _stop(self, _reply: WebhookReply) -> None:
        self.stopped += 1
        self.end()

    def _studio(self, request: httpx.Request) -> httpx.Response:
        verify(SECRET, request.headers, request.content, now=self.now)
        batch = EventBatch.model_validate_json(request.content)
        self.batches.append(batch)
        self.message_ids.append(request.headers["webhook-id"])
        event = self.script.pop(0) if self.script else self.agree
        if isinstance(event, Exception):
            raise event
        return event(batch)

    def agree(self, batch: EventBatch) -> httpx.Response:
        return _reply(acknowledged=self.keep(batch))

    def keep_but_lose_the_reply(self, batch: EventBatch) -> httpx.Response:
        self.keep(batch)
        raise httpx.ReadTimeout("lost")


def _reply(*, acknowledged: int, continue_: bool = True) -> httpx.Response:
    reply = WebhookReply(continue_=continue_, acknowledged=acknowledged)
    return httpx.Response(200, content=reply.model_dump_json())


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    made = []

    def make(folder: Path, **settings: Any) -> World:
        made.append(World(folder, **settings))
        return made[-1]

    yield make
    for world in made:
        world.event_log.close()


@pytest.fixture
def world(tmp_path: Path, make_world: Callable[..., World]) -> World:
    return make_world(tmp_path)


def test_lines_go_home_in_batches_and_in_order(world: World) -> None:
    world.write(MAX_EVENTS * 2 + 5)
    world.end()

    world.settle()

    assert [len(batch.events) for batch in world.batches] == [MAX_EVENTS, MAX_EVENTS, 6]
    assert world.stored[1] == set(range(1, MAX_EVENTS * 2 + 7))
    assert world.delivery.finished()
    assert world.batches[-1].reason is EndReason.INTERRUPTED


def test_anything_that_can_go_wrong_in_any_order_loses_no_line(
    tmp_path: Path, make_world: Callable[..., World]
) -> None:
    for seed in range(30):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world, chance = make_world(folder), random.Random(seed)
        troubles: list[Answer | Exception] = [
            httpx.ConnectError("down"), httpx.ReadTimeout("slow"), world.keep_but_lose_the_reply,
            lambda _: httpx.Response(500), lambda _: httpx.Response(502, text="<html>"),
            lambda _: httpx.Response(200, text="not JSON"), lambda _: httpx.Response(301, headers={"location": "/x"}),
            lambda _: httpx.Response(413), lambda _: _reply(acknowledged=0), lambda _: _reply(acknowledged=3),
            lambda _: httpx.Response(429, headers={"retry-after": "90"}), world.agree,
        ]  # fmt: skip
        for _ in range(5):
            world.write(chance.randint(1, 300))
            world.script += chance.choices(troubles, k=chance.randint(0, 6))
            world.settle(within=timedelta(seconds=chance.choice([0, 1, 30])))
            if chance.random() < 0.3:
                world.delivery = world.new_delivery()  # the server was killed and started anew
        world.end()
        world.settle(within=timedelta(hours=3))

        assert world.stored[1] == set(range(1, EventLogReader(world.path).count() + 1)), seed
        assert world.delivery.finished(), seed
        assert world.stopped == 0


def test_a_reply_that_was_lost_makes_the_same_message_again(world: World) -> None:
    world.write(3)
    world.script = [world.keep_but_lose_the_reply]

    world.delivery.poll()
    world.now += timedelta(seconds=2)
    world.delivery.poll()

    assert world.message_ids == ["job-1.1.1-3"] * 2
    assert world.book.record.acknowledged == 3


def test_it_goes_on_behind_what_the_studio_has_also_when_that_is_less_than_before(world: World) -> None:
    world.write(10)
    world.delivery.poll()
    world.write(5)
    world.script = [lambda _: _reply(acknowledged=4)]  # a studio restored from an old copy
    world.settle(within=timedelta(seconds=5))

    assert [(batch.events[0].sequence, batch.sequence) for batch in world.batches] == [(1, 10), (11, 15), (5, 15)]


def test_a_restarted_server_goes_on_at_the_acknowledged_line(world: World, tmp_path: Path) -> None:
    world.write(7)
    world.delivery.poll()
    world.write(2)
    found = JobRecord.load(tmp_path)
    assert found is not None
    world.book = RecordBook(tmp_path, found)

    world.new_delivery().poll()

    assert [event.sequence for event in world.batches[-1].events] == [8, 9]


def test_a_studio_that_is_down_is_asked_ever_less_often_but_for_ever(world: World) -> None:
    world.write(1)
    pauses = []
    for _ in range(40):
        world.script = [httpx.ConnectError("down")]
        pauses.append(world.delivery.poll())
        world.now += pauses[-1]

    assert timedelta(seconds=0.5) <= pauses[0] <= timedelta(seconds=1)
    assert all(timedelta(seconds=30) <= pause <= timedelta(seconds=60) for pause in pauses[8:])
    assert len(set(pauses)) > 30  # spread by chance, so that machines do not ask all at once
    world.settle(within=timedelta(minutes=2))
    assert world.stored[1] == {1}


def test_nothing_is_sent_before_the_pause_is_over(world: World) -> None:
    world.write(1)
    world.script = [httpx.ConnectError("down")]
    pause = world.delivery.poll()

    assert world.delivery.poll() == pause
    assert len(world.batches) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_kept(world: World, status: int, as_date: bool) -> None:
    world.write(1)
    value = format_datetime(world.now + timedelta(seconds=120), usegmt=True) if as_date else "120"
    world.script = [lambda _: httpx.Response(status, headers={"retry-after": value})]

    assert world.delivery.poll() == timedelta(seconds=120)


@pytest.mark.parametrize("value", ["-5", "soon", "", "1e9", "9" * 30])
def test_a_senseless_retry_after_does_no_harm(world: World, value: str) -> None:
    world.write(1)
    world.script = [lambda _: httpx.Response(503, headers={"retry-after": value})]

    assert world.delivery.poll() <= timedelta(hours=1)


def test_a_studio_that_acknowledges_nothing_is_not_flooded(world: World) -> None:
    world.write(1)
    world.script = [lambda _: _reply(acknowledged=0)] * 1000

    world.settle(within=timedelta(minutes=10))

    assert len(world.batches) < 30


def test_a_studio_that_claims_lines_which_are_not_written_gets_them_when_they_are(world: World) -> None:
    world.write(2)
    world.script = [lambda _: _reply(acknowledged=99)]
    world.delivery.poll()
    world.write(1)
    world.delivery.poll()

    assert [event.sequence for event in world.batches[-1].events] == [3]


def test_continue_false_stops_the_job_once_and_its_end_is_still_told(world: World) -> None:
    world.write(2)
    world.script = [lambda _: _reply(acknowledged=2, continue_=False)] * 2

    world.settle()

    assert world.stopped == 1
    assert world.batches[-1].events[-1].kind == "end"


def test_a_silent_run_says_that_it_lives_and_hears_that_it_is_not_to_go_on(world: World) -> None:
    world.settle(within=HEARTBEAT + timedelta(seconds=1))
    (alive,) = world.batches
    assert (alive.events, alive.sequence, alive.status) == ((), 0, JobStatus.PROVISIONING)

    world.script = [lambda _: _reply(acknowledged=0, continue_=False)]
    world.settle(within=HEARTBEAT + timedelta(seconds=1))

    assert world.stopped == 1


def test_a_batch_too_large_is_halved(world: World) -> None:
    world.write(100)
    world.script = [world.agree]
    world.delivery.poll()
    world.write(200)
    world.script = [lambda batch: httpx.Response(413) if len(batch.events) > 60 else world.agree(batch)] * 5
    world.settle(within=timedelta(seconds=5))

    assert [len(batch.events) for batch in world.batches] == [100, 200, 100, 50, 50, 50, 50]


def test_an_earlier_attempt_s_lines_are_told_as_its_own_and_hold_up_nobody(
    tmp_path: Path, make_world: Callable[..., World]
) -> None:
    world = make_world(tmp_path, spans=(Span(attempt=1, begins_after=0), Span(attempt=2, begins_after=4)))
    world.write(6)
    world.script = [lambda _: _reply(acknowledged=0, continue_=False)]
    world.settle(within=timedelta(minutes=2))

    first, second, *_ = world.batches
    assert (first.attempt, [e.sequence for e in first.events], {e.attempt for e in first.events}) == (
        1,
        [1, 2, 3, 4],
        {1},
    )
    assert (second.attempt, [e.sequence for e in second.events]) == (2, [1, 2])
    assert world.stopped == 0


@pytest.mark.parametrize(("status", "is_final"), [(404, True), (409, True), (410, True), (422, True), (400, False)])
def test_only_final_answers_give_up_an_earlier_attempt_s_lines(
    tmp_path: Path, make_world: Callable[..., World], status: int, is_final: bool
) -> None:
    """What the studio will never take must not hold up the attempt that runs; what it may take later is sent again."""
    world = make_world(tmp_path, spans=(Span(attempt=1, begins_after=0), Span(attempt=2, begins_after=4)))
    world.write(6)
    world.script = [lambda _: httpx.Response(status)]
    world.settle(within=timedelta(minutes=2))

    first, second, *_ = world.batches
    assert first.attempt == 1
    assert second.attempt == (2 if is_final else 1)


@pytest.mark.parametrize("status", [404, 409, 410, 422])
def test_the_running_attempt_is_never_given_up(world: World, status: int) -> None:
    world.write(2)
    world.script = [lambda _: httpx.Response(status)]
    world.settle(within=timedelta(minutes=2))

    assert [[event.sequence for event in batch.events] for batch in world.batches[:2]] == [[1, 2], [1, 2]]


def test_an_unwritten_half_line_waits(world: World) -> None:
    world.write(1)
    with world.path.open("ab") as stream:
        stream.write(b'{"sequence": 2, "att')
    world.delivery.poll()

    assert world.batches[0].sequence == 1


def test_the_tail_reads_any_line_of_a_long_event_log(tmp_path: Path) -> None:
    event_log = EventLog(tmp_path / "events.jsonl")
    tail = EventLogReader(event_log.path)
    for _ in range(5):
        for _ in range(301):
            event_log.say("x")
        count = tail.count()
        for after in (0, 1, 255, 256, 257, count - 1):
            assert [event.sequence for event in tail.read(after=after, limit=3)] == list(range(after + 1, count + 1))[
                :3
            ]
    event_log.close()
    event_log.path.write_bytes(b"".join(event_log.path.read_bytes().splitlines(keepends=True)[:2]))
    assert tail.count() == 2
