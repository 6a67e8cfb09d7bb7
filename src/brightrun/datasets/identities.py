"""Names of conversations: a stable one where the file has none, and a compact memory of those seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_MAX_PENDING = 16_384


def content_id(texts: Iterable[str]) -> str:
    """An id that depends on the texts alone, so that adding conversations renames none."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return f"c-{digest.hexdigest()}"


class SeenIds:
    """Which ids came before, at eight bytes each: a sorted array and a small set of the newest."""

    def __init__(self) -> None:
        self._settled: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._pending: set[int] = set()
        self._numbers: dict[str, int] = {}  # the last number that was put behind a name

    def add(self, name: str) -> bool:
        """Remember an id; True where it is new."""
        key = int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        if key in self._pending or self._is_settled(key):
            return False
        self._pending.add(key)
        if len(self._pending) >= _MAX_PENDING:
            newest = np.fromiter(self._pending, dtype=np.uint64, count=len(self._pending))
            self._settled = np.sort(np.concatenate([self._settled, newest]))
            self._pending = set()
        return True

    def unused(self, name: str) -> str:
        """The name, or with -2, -3 … behind it where it was used before; remembered."""
        if self.add(name):
            return name
        number = self._numbers.get(name, 1) + 1
        while not self.add(f"{name}-{number}"):
            number += 1
        if len(self._numbers) >= _MAX_PENDING:
            self._numbers.clear()  # forgetting costs time, not truth
        self._numbers[name] = number
        return f"{name}-{number}"

    def _is_settled(self, key: int) -> bool:
        index = int(np.searchsorted(self._settled, np.uint64(key)))
        return index < self._settled.size and int(self._settled[index]) == key
