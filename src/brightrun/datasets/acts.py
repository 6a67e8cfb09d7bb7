"""What is told and logged of a file, in the file's order, also while more of it has been read than was examined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

Act = Callable[[], None]


class Acts:
    """Does things at once, or keeps them back until it is their conversation's turn."""

    def __init__(self) -> None:
        self._kept: list[Act] | None = None

    def do(self, act: Act) -> None:
        if self._kept is None:
            act()
        else:
            self._kept.append(act)

    @contextmanager
    def kept_back(self) -> Iterator[None]:
        """While it lasts, acts wait to be taken. Those nobody took are done at its end, unless it ends in an error."""
        self._kept = []
        try:
            yield
            kept, self._kept = self._kept, None
            for act in kept:
                act()
        finally:
            self._kept = None

    def take(self) -> list[Act]:
        """What was kept back since the last call."""
        if self._kept is None:
            return []
        kept, self._kept = self._kept, []
        return kept

    @contextmanager
    def in_turn(self, acts: Iterable[Act]) -> Iterator[None]:
        """Do these now, and at once what is done meanwhile."""
        kept, self._kept = self._kept, None
        try:
            for act in acts:
                act()
            yield
        finally:
            self._kept = kept
