"""A table of 64-bit hashes to 64-bit numbers at 16 bytes each: two sorted arrays and a dictionary of the newest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MAX_PENDING = 16_384


class HashTable:
    """Each key is put once; a dictionary would take ten times the memory."""

    def __init__(self) -> None:
        self._keys: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._values: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._pending: dict[int, int] = {}

    def get(self, key: int) -> int | None:
        """The number put under `key`, or None."""
        if (value := self._pending.get(key)) is not None:
            return value
        if not self._keys.size:
            return None
        index = int(np.searchsorted(self._keys, np.uint64(key)))
        found = index < self._keys.size and int(self._keys[index]) == key
        return int(self._values[index]) if found else None

    def put(self, key: int, value: int) -> None:
        """Remember `value` under a key that is new; both are below 2⁶⁴."""
        self._pending[key] = value
        if len(self._pending) < _MAX_PENDING:
            return
        keys = np.fromiter(self._pending, dtype=np.uint64, count=len(self._pending))
        values = np.fromiter(self._pending.values(), dtype=np.uint64, count=len(self._pending))
        keys, values = np.concatenate([self._keys, keys]), np.concatenate([self._values, values])
        order = np.argsort(keys)
        self._keys, self._values, self._pending = keys[order], values[order], {}
