"""Which conversations are copies of one another: MinHash signatures in a temporary file, compared at the end.

Memory does not grow with the texts: about 24 bytes per conversation while comparing.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from brightrun.datasets.comparable_text import digest64
from brightrun.datasets.conversation import Conversation

HASHES = 64
ROWS_PER_BAND = 4  # 16 bands of 4: a pair with similarity 0.7 meets in some band with probability 0.99
SHINGLE_WORDS = 3
SIMILAR = 0.7  # share of equal minima, an estimate of the Jaccard similarity of the sets of three-word shingles
_BLOCK = 4096
_WORDS_KEPT = 50_000  # a few megabytes
_RECORD = np.dtype(
    [("at", "<u8"), ("length", "<u4"), ("exact", "<u8"), ("opening", "<u8"), ("minima", "<u4", (HASHES,))]
)
_LETTERS_PER_WORD = 20
_ODD = np.uint64(0x9E3779B97F4A7C15)


class DuplicateGroups(NamedTuple):
    """Groups of ids, first come first. `together` joins exact and near ones: what must stay on one side."""

    exact: list[list[str]]
    near: list[list[str]]
    together: list[list[str]]


class Fingerprint(NamedTuple):
    """What is kept of a conversation's texts: a digest of all, one of the first two, and the minima of the shingles."""

    exact: int
    opening: int
    minima: npt.NDArray[np.uint32]


class FingerprintMaker:
    """Makes fingerprints of texts; the same on every machine and in every process."""

    def __init__(self) -> None:
        self._multipliers, self._addends = _permutations()
        self._words = _WordHashes()

    def of(self, texts: Sequence[str]) -> Fingerprint:
        return Fingerprint(digest64(*texts), digest64(*texts[:2]), self._minima(" ".join(texts)))

    def _minima(self, text: str) -> npt.NDArray[np.uint32]:
        """The smallest value of the shingles' hashes under each permutation."""
        words: Sequence[str] = text.lower().split()
        if len(text) > _LETTERS_PER_WORD * len(words):
            words = text  # a script without spaces: shingles of characters
        hashes = np.fromiter(map(self._words.__getitem__, words), np.uint64, len(words))
        if len(self._words) > _WORDS_KEPT:
            self._words.clear()
        shingles = hashes[: max(1, len(words) - SHINGLE_WORDS + 1)].copy()
        for shift in range(1, min(SHINGLE_WORDS, len(words))):
            shingles = shingles * _ODD + hashes[shift : shift + shingles.size]
        shingles ^= shingles >> np.uint64(31)
        minima = np.full(HASHES, np.iinfo(np.uint64).max, dtype=np.uint64)
        for start in range(0, shingles.size, _BLOCK):
            values = self._multipliers[:, None] * shingles[start : start + _BLOCK]
            values += self._addends[:, None]
            np.minimum(minima, values.min(axis=1), out=minima)
        return (minima >> np.uint64(32)).astype(np.uint32)


def fingerprint_texts(conversation: Conversation) -> list[str]:
    """What a conversation is compared by: what was said, and what was called."""
    return [" ".join(turn.message().texts()) if turn.calls else turn.content for turn in conversation.turns]


class Fingerprints:
    """Takes conversations one at a time; `groups()` once at the end."""

    def __init__(self) -> None:
        self._records = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._names = tempfile.TemporaryFile()  # noqa: SIM115
        self._waiting: list[tuple[int, int, int, int, npt.NDArray[np.uint32]]] = []
        self._end = 0
        self._count = 0
        self._maker = FingerprintMaker()

    def add(self, conversation: Conversation, made: Fingerprint | None = None) -> None:
        """Take the next one. `made`: its fingerprint, where another process made it."""
        exact, opening, minima = made or self._maker.of(fingerprint_texts(conversation))
        name = conversation.id.encode("utf-8", "surrogatepass")
        self._names.write(name)
        self._waiting.append((self._end, len(name), exact, opening, minima))
        self._end += len(name)
        self._count += 1
        if len(self._waiting) >= _BLOCK // 8:
            self._write()

    def groups(self) -> DuplicateGroups:
        self._write()
        exact, near = _Groups(), _Groups()
        for members in self._runs("exact"):
            exact.join(members)
            near.join(members)
        for members in self._runs("opening"):
            near.join(members)
        for band in range(HASHES // ROWS_PER_BAND):
            for members in self._runs("minima", band):
                self._join_similar(members, near)
        same, together = exact.lists(), near.lists()
        copies = {tuple(group) for group in same}
        return DuplicateGroups(
            exact=[self._named(group) for group in same],
            near=[self._named(group) for group in together if tuple(group) not in copies],
            together=[self._named(group) for group in together],
        )

    def close(self) -> None:
        self._records.close()
        self._names.close()

    def _write(self) -> None:
        if self._waiting:
            self._records.write(np.array(self._waiting, dtype=_RECORD).tobytes())
            self._waiting = []

    def _runs(self, field: str, band: int | None = None) -> Iterator[list[int]]:
        """Runs of conversations (by number) with an equal key, in order of appearance."""
        keys = np.empty(self._count, dtype=np.uint64)
        for start, block in self._blocks():
            keys[start : start + block.size] = block[field] if band is None else _band_keys(block[field], band)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        equal = np.flatnonzero(keys[1:] == keys[:-1])
        for run in np.split(equal, np.flatnonzero(np.diff(equal) > 1) + 1):
            if run.size:
                yield [int(number) for number in order[run[0] : run[-1] + 2]]

    def _blocks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        self._records.seek(0)
        start = 0
        while data := self._records.read(_BLOCK * _RECORD.itemsize):
            block = np.frombuffer(data, dtype=_RECORD)
            yield start, block
            start += block.size

    def _join_similar(self, members: Sequence[int], near: _Groups) -> None:
        """Compare each member with the first of the run and with the one before it."""
        first = before = self._record(members[0])
        for previous, member in pairwise(members):
            record = self._record(member)
            for other, number in ((first, members[0]), (before, previous)):
                if float(np.mean(record["minima"] == other["minima"])) >= SIMILAR:
                    near.join([number, member])
                    break
            before = record

    def _record(self, number: int) -> Any:
        self._records.seek(number * _RECORD.itemsize)
        return np.frombuffer(self._records.read(_RECORD.itemsize), dtype=_RECORD)[0]

    def _named(self, numbers: Sequence[int]) -> list[str]:
        names = []
        for number in numbers:
            record = self._record(number)
            self._names.seek(int(record["at"]))
            names.append(self._names.read(int(record["length"])).decode("utf-8", "surrogatepass"))
        return names


class _WordHashes(dict[str, int]):
    """A hash for every word, made when it is first asked for."""

    def __missing__(self, word: str) -> int:
        self[word] = number = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return number


class _Groups:
    """Disjoint sets over the few numbers that are in a group at all."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def join(self, members: Sequence[int]) -> None:
        roots = sorted({self._root(member) for member in members})
        for root in roots[1:]:
            self._parents[root] = roots[0]

    def lists(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for member in sorted(self._parents):
            found.setdefault(self._root(member), []).append(member)
        return list(found.values())

    def _root(self, member: int) -> int:
        self._parents.setdefault(member, member)
        while self._parents[member] != member:
            self._parents[member] = self._parents[self._parents[member]]
            member = self._parents[member]
        return member


def _permutations() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Multiply-add-shift hashing (Dietzfelbinger 1996); its numbers are the same on every machine."""
    numbers = [
        int.from_bytes(hashlib.blake2b(f"brightrun-{index}".encode(), digest_size=8).digest(), "big")
        for index in range(2 * HASHES)
    ]
    return np.array(numbers[:HASHES], dtype=np.uint64) | np.uint64(1), np.array(numbers[HASHES:], dtype=np.uint64)


def _band_keys(minima: npt.NDArray[np.uint32], band: int) -> npt.NDArray[np.uint64]:
    rows = minima[:, band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND].astype(np.uint64)
    key = rows[:, 0].copy()
    for column in range(1, ROWS_PER_BAND):
        key = (key ^ (key >> np.uint64(29))) * _ODD + rows[:, column]
    return np.asarray(key, dtype=np.uint64)
