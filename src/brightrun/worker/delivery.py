"""Pushes a run's journal home as signed webhooks: batched, repeated until acknowledged, in order. Knows no training."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from pydantic import ValidationError

from brightrun.contract.messages import EventBatch, WebhookReply
from brightrun.contract.signatures import sign
from brightrun.worker.event_log_reader import EventLogReader, Span
from brightrun.worker.job_record import RecordBook

POLL_INTERVAL = timedelta(seconds=0.5)
HEARTBEAT = timedelta(seconds=30)
MAX_EVENTS = 200
_INITIAL_PAUSE, _MAX_PAUSE = timedelta(seconds=1), timedelta(seconds=60)
_MAX_RETRY_AFTER = timedelta(hours=1)
_UNWANTED = (404, 409, 410, 422)
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_log = logging.getLogger(__name__)


class Delivery:
    """Brings every line above the last acknowledged one to the studio, one batch at a time.

    Args:
        book: Address, secret and place in the journal; the place is kept there, so that a restart goes on.
        alive: Whether the run may still write lines.
        stop: Called when the studio says that the job is not to go on, with its answer.
        transport, now, chance: The world, passed in.
    """

    def __init__(
        self, book: RecordBook, tail: EventLogReader, *, worker: str, alive: Callable[[], bool],
        stop: Callable[[WebhookReply], None], now: Callable[[], datetime],
        transport: httpx.BaseTransport | None = None, chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._book, self._tail, self._worker = book, tail, worker
        self._alive, self._stop, self._now = alive, stop, now
        self._chance = chance or random.Random()  # noqa: S311 spreads retries, guards nothing
        self._client = httpx.Client(transport=transport, timeout=_TIMEOUT, trust_env=False)
        self._not_before = datetime.min.replace(tzinfo=UTC)
        self._last_answer = now()
        self._failures = 0
        self._most_events = MAX_EVENTS

    def run(self, halt: threading.Event) -> None:
        """Deliver until everything of an ended run is acknowledged, or until `halt`."""
        while not halt.is_set() and not self.finished():
            try:
                wait = self.poll()
            except Exception:  # noqa: BLE001 the journal's sender must outlive anything: one of the three broad excepts
                _log.exception("The journal could not be sent; it is tried again.")
                wait = _MAX_PAUSE
            halt.wait(wait.total_seconds())
        self._client.close()

    def finished(self) -> bool:
        # Asked in this order: a line written in between is seen by the count.
        return not self._alive() and self._book.record.acknowledged >= self._tail.count()

    def poll(self) -> timedelta:
        """Send what is due, at most one batch; returns how long to wait before the next look."""
        now = self._now()
        if now < self._not_before:
            return self._not_before - now
        span, until = self._span()
        position = self._book.record.acknowledged
        lines = self._tail.read(after=position, limit=min(self._most_events, until - position))
        if lines:
            told = [span.told(line) for line in lines]
            batch = EventBatch.telling(self._book.record.job_id, span.attempt, self._worker, told)
            message_id = f"{batch.job_id}.{span.attempt}.{told[0].sequence}-{batch.sequence}"
        elif now - self._last_answer >= HEARTBEAT:
            batch = self._sign_of_life(span, now)
            message_id = f"{batch.job_id}.{span.attempt}.{batch.sequence}.alive.{int(now.timestamp())}"
        else:
            return POLL_INTERVAL
        return self._send(batch, message_id, span, now)

    def _span(self) -> tuple[Span, int]:
        """The attempt the next line belongs to, and the number of its last line."""
        record, newest = self._book.record, self._tail.count()
        ends = [span.begins_after for span in record.spans[1:]]
        for span, end in zip(record.spans, ends, strict=False):
            if record.acknowledged < end:
                return span, end
        return record.span, newest

    def _sign_of_life(self, span: Span, now: datetime) -> EventBatch:
        last = self._tail.last()
        mine = None if last is None or last.sequence <= span.begins_after else span.told(last)
        return EventBatch.alive(self._book.record.job_id, span.attempt, self._worker, last=mine, at=now)

    def _send(self, batch: EventBatch, message_id: str, span: Span, now: datetime) -> timedelta:
        record = self._book.record
        assert record.webhook_url is not None
        assert record.webhook_secret is not None
        body = batch.model_dump_json(exclude_none=True).encode("utf-8")
        headers = sign(record.webhook_secret.get_secret_value(), message_id, now, body)
        try:
            answer = self._client.post(
                record.webhook_url, content=body, headers={"content-type": "application/json", **headers}
            )
        except httpx.HTTPError as error:
            return self._pause(now, f"{type(error).__name__}")
        if not answer.is_success:
            return self._refused(answer, span, now)
        try:
            reply = WebhookReply.model_validate_json(answer.content)
        except ValidationError:
            return self._pause(now, "an answer that is none")
        return self._accept(reply, batch, span, now)

    def _accept(self, reply: WebhookReply, batch: EventBatch, span: Span, now: datetime) -> timedelta:
        """Go on behind the last line the studio has, also where that is further back than it once said."""
        self._last_answer = now
        current = span == self._book.record.span
        before = self._book.record.acknowledged
        known = min(span.begins_after + reply.acknowledged, self._span()[1])
        if not current and known <= before:
            known = self._span()[1]  # an attempt that is over; the studio wants no more of it
        self._book.change(acknowledged=known)
        if current and not reply.continue_ and self._alive():
            _log.info("The studio stopped job %s: %s", batch.job_id, reply.reason)
            self._stop(reply)
        if batch.events and known <= before:
            return self._pause(now, "acknowledged nothing")
        self._failures = 0
        return timedelta(0) if known < self._tail.count() else POLL_INTERVAL

    def _refused(self, answer: httpx.Response, span: Span, now: datetime) -> timedelta:
        if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE and self._most_events > 1:
            self._most_events //= 2
            return timedelta(0)
        if answer.status_code in _UNWANTED and span != self._book.record.span:
            # An attempt that is over must not hold up the one that runs.
            self._book.change(acknowledged=self._span()[1])
        asked = _retry_after(answer.headers.get("retry-after"), now)
        return self._pause(now, f"status {answer.status_code}", at_least=asked)

    def _pause(self, now: datetime, what: str, *, at_least: timedelta = timedelta(0)) -> timedelta:
        """Wait twice as long as the last time, up to a minute, less up to half of it by chance."""
        longest = min(_INITIAL_PAUSE * (1 << min(self._failures, 16)), _MAX_PAUSE)
        pause = max(longest * self._chance.uniform(0.5, 1.0), at_least)
        self._failures += 1
        self._not_before = now + pause
        if self._failures in {1, 10} or self._failures % 60 == 0:
            _log.warning("The studio gave %s; tried %d times.", what, self._failures)
        return pause


def _retry_after(value: str | None, now: datetime) -> timedelta:
    """`Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), at most an hour; zero where there is none."""
    if value is None:
        return timedelta(0)
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=min(int(value), 10**6)), _MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return timedelta(0)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), _MAX_RETRY_AFTER)
