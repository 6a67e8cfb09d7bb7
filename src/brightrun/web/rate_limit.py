"""Counts failures by where they came from, in this process's memory, and says when it is too much."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from brightrun.errors import TooManyRequests

_MAX_PLACES = 10_000


class FailureLimit:
    """At most `limit` failures from one place within `window`.

    Args:
        clock: Now, with zone.
    """

    def __init__(
        self, clock: Callable[[], datetime], *, limit: int = 10, window: timedelta = timedelta(minutes=5)
    ) -> None:
        self._clock, self._limit, self._window = clock, limit, window
        self._failures: dict[str, deque[datetime]] = {}
        self._lock = threading.Lock()

    def check(self, place: str) -> None:
        """Raise TooManyRequests, with the seconds to wait, where the limit is reached."""
        now = self._clock()
        with self._lock:
            recent = self._recent(place, now)
            if len(recent) < self._limit:
                return
            wait = math.ceil((recent[0] + self._window - now).total_seconds())
        raise TooManyRequests(
            "Too many wrong attempts came from this address.", details={"retry_after_seconds": max(wait, 1)}
        )

    def note(self, place: str) -> None:
        """Count a failure."""
        now = self._clock()
        with self._lock:
            if place not in self._failures and len(self._failures) >= _MAX_PLACES:
                self._forget(now)
            self._failures.setdefault(place, deque(maxlen=self._limit)).append(now)

    def _recent(self, place: str, now: datetime) -> deque[datetime]:
        recent = self._failures.get(place, deque())
        while recent and recent[0] <= now - self._window:
            recent.popleft()
        return recent

    def _forget(self, now: datetime) -> None:
        """Drop places that have been quiet; if all are busy, the oldest."""
        for place in list(self._failures):
            if not self._recent(place, now):
                del self._failures[place]
        if len(self._failures) >= _MAX_PLACES:
            del self._failures[next(iter(self._failures))]
