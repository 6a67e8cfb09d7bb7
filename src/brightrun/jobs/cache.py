"""A few things that are slow to make and asked for again, kept in this process. What is kept must never change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

Thing = TypeVar("Thing")


class Cache:
    """The things that were asked for last, up to `most`. Keys say everything that a thing is made of."""

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._things: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """The thing of that key; `make` makes it where it is not here. Two who ask at once may both make it."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                found: Thing = self._things[key]
                return found
        made = make()
        with self._lock:
            self._things[key] = made
            while len(self._things) > self._most:
                self._things.popitem(last=False)
        return made
