"""Copies and near copies: exact signatures, groups of every shape, and texts that break naive ones."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from brightrun.datasets import fingerprints
from brightrun.datasets.comparable_text import digest64
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.fingerprints import HASHES, ROWS_PER_BAND, DuplicateGroups, FingerprintMaker, Fingerprints

WORDS = [f"word{number}" for number in range(400)]
WHOLE = 2**64
ODD = 0x9E3779B97F4A7C15


@pytest.fixture
def prints() -> Iterator[Fingerprints]:
    prints = Fingerprints()
    yield prints
    prints.close()


def conversation(name: str, *texts: str) -> Conversation:
    turns = tuple(
        Turn(number=number, role="assistant" if number % 2 == 0 else "user", content=text)
        for number, text in enumerate(texts, start=1)
    )
    return Conversation(id=name, place="", system=None, turns=turns)


def groups_of(prints: Fingerprints, **texts: tuple[str, ...]) -> DuplicateGroups:
    for name, turns in texts.items():
        prints.add(conversation(name, *turns))
    return prints.groups()


def a_text(seed: int, words: int = 120) -> str:
    dice = random.Random(seed)
    return " ".join(dice.choice(WORDS) for _ in range(words))


def changed(text: str, *places: int) -> str:
    words = text.split()
    for place in places:
        words[place] = f"other{place}"
    return " ".join(words)


def signature(text: str) -> list[int]:
    """The same signature in whole numbers without end, one shingle and one permutation at a time."""

    def number(index: int) -> int:
        return int.from_bytes(hashlib.blake2b(f"brightrun-{index}".encode(), digest_size=8).digest(), "big")

    words: list[str] = text.lower().split()
    if len(text) > 20 * len(words):
        words = list(text)
    hashes = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words]
    shingles = []
    for start in range(max(1, len(words) - 2) if words else 0):
        shingle = 0
        for value in hashes[start : start + 3]:
            shingle = (shingle * ODD + value) % WHOLE
        shingles.append(shingle ^ (shingle >> 31))
    minima = []
    for index in range(HASHES):
        factor, addend = number(index) | 1, number(HASHES + index)
        values = [(shingle * factor + addend) % WHOLE >> 32 for shingle in shingles]
        minima.append(min([2**32 - 1, *values]))
    return minima


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "One",
        "one two",
        "one two three",
        "One Two three FOUR",
        "a" * 20,
        "a" * 21,
        "あなたの庭はどこですか。わたしの庭は海のそばです。",
        "straße \ud83d broken",
        a_text(1),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("block", [16, 4096])
def test_the_signature_is_the_same_on_every_machine(
    prints: Fingerprints, monkeypatch: pytest.MonkeyPatch, text: str, block: int
) -> None:
    monkeypatch.setattr(fingerprints, "_BLOCK", block)
    minima = FingerprintMaker().of([text]).minima
    assert minima.dtype == np.uint32
    assert minima.tolist() == signature(text)


def test_words_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "_WORDS_KEPT", 5)
    maker = FingerprintMaker()
    for seed in range(20):
        assert maker.of([a_text(seed)]).minima.tolist() == signature(a_text(seed))
        assert len(maker._words) <= 5


@pytest.mark.parametrize("band", [0, 1, 15])
def test_a_band_is_known_by_its_four_rows_in_order(band: int) -> None:
    minima = np.array([signature(a_text(seed)) for seed in range(3)], dtype=np.uint32)
    keys = []
    for row in minima.tolist():
        key, *rest = row[band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND]
        for value in rest:
            key = ((key ^ (key >> 29)) * ODD + value) % WHOLE
        keys.append(key)
    found = fingerprints._band_keys(minima, band)
    assert found.dtype == np.uint64
    assert found.tolist() == keys


def test_copies_are_exact_and_not_near(prints: Fingerprints) -> None:
    """Three texts, twice each and in turn: each group is of its own, first come first."""
    names = [(number, text, copy) for copy in (1, 2) for number, text in enumerate("bca")]
    texts = {f"{text}{copy}": ("Hello", a_text(number), "Thanks") for number, text, copy in names}
    found = groups_of(prints, **texts, alone=("Hi", a_text(9)))
    assert found.exact == [["b1", "b2"], ["c1", "c2"], ["a1", "a2"]]
    assert found.near == []
    assert found.together == found.exact


def test_two_turns_alike_are_near_whatever_follows(prints: Fingerprints) -> None:
    opening = ("How do I prune a rose?", "In spring, above a bud.")
    found = groups_of(
        prints,
        one=(*opening, "Thanks", a_text(1)),
        other=("How do I prune a rose?", "In autumn.", a_text(2)),
        two=(*opening, "And a pear?", a_text(3)),
    )
    assert found.exact == []
    assert found.near == [["one", "two"]]
    assert found.together == [["one", "two"]]


def test_where_a_turn_ends_counts(prints: Fingerprints) -> None:
    assert groups_of(prints, one=("ab", "c"), other=("a", "bc"), third=("a", "b", "c")).exact == []


def test_a_copy_and_a_near_copy_are_one_near_group(prints: Fingerprints) -> None:
    text = a_text(4)
    found = groups_of(prints, first=("a", text), near=("b", changed(text, 50)), copy=("a", text))
    assert found.exact == [["first", "copy"]]
    assert found.near == [["first", "near", "copy"]]
    assert found.together == [["first", "near", "copy"]]


def test_every_near_copy_of_a_text_is_found(prints: Fingerprints) -> None:
    text = a_text(5)
    texts = {f"n{place}": (f"{place}", changed(text, place)) for place in (3, 40, 77, 110)}
    assert groups_of(prints, **texts).near == [["n3", "n40", "n77", "n110"]]


def equal_minima(prints: Fingerprints, one: str, other: str) -> Any:
    return prints._maker.of([one]).minima == prints._maker.of([other]).minima


def a_chain(prints: Fingerprints) -> tuple[str, str, str]:
    """Each near the one before it, the last not near the first; one band of all three is equal."""
    for seed in range(200):
        first = a_text(seed)
        second = changed(first, *range(20, 34))
        third = changed(second, *range(80, 94))
        pairs = [equal_minima(prints, *pair) for pair in ((first, second), (second, third), (first, third))]
        bands = [pair.reshape(-1, ROWS_PER_BAND).all(axis=1) for pair in pairs]
        shares = [float(pair.mean()) for pair in pairs]
        if min(shares[:2]) >= 0.7 > shares[2] and (bands[0] & bands[2]).any():
            return first, second, third
    raise AssertionError("no such chain was found")


def test_a_near_copy_of_a_near_copy_belongs_to_both(prints: Fingerprints) -> None:
    first, second, third = a_chain(prints)
    assert groups_of(prints, a=(first,), b=(second,), c=(third,)).near == [["a", "b", "c"]]


def test_ids_come_back_as_they_were(prints: Fingerprints) -> None:
    """Of any length, and broken ones too: JSON can hold half a character."""
    names = ["one", "\ud83d", "a much longer name", "é"]
    for name in names:
        prints.add(conversation(name, "Hello", "Hello you"))
    assert prints.groups().exact == [names]


def test_broken_texts_are_compared_like_others(prints: Fingerprints) -> None:
    found = groups_of(prints, one=("a", "half \ud83d"), other=("a", "half \ud83e"), copy=("a", "half \ud83d"))
    assert found.exact == [["one", "copy"]]


def test_digests_that_differ_in_their_last_bit_are_different(
    prints: Fingerprints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is replaced by one whose numbers lie side by side, beyond what a float can tell apart."""
    monkeypatch.setattr(fingerprints, "digest64", lambda *texts: 2**63 + sum(map(len, texts)))
    assert groups_of(prints, one=("a", a_text(1)), two=("b", a_text(2) + "x"), three=("c", "xx")).together == []


@pytest.mark.parametrize("block", [16, 64, 4096])
def test_more_than_a_block_of_conversations(prints: Fingerprints, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """100 conversations in blocks of any size; every tenth is a copy of the one ten before it."""
    monkeypatch.setattr(fingerprints, "_BLOCK", block)
    for number in range(100):
        text = "the copied one" if number % 10 == 5 else f"number {number} of its own kind, {a_text(number, 10)}"
        prints.add(conversation(str(number), "Hello", text))
    assert prints.groups().exact == [[str(number) for number in range(5, 100, 10)]]


def test_what_the_memory_held_before_does_not_matter(prints: Fingerprints, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["Hello", "Hello you"]
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, digest64(*texts), dtype))
    assert groups_of(prints, one=("Hello", "Hello you"), other=("Hi", "Hi there")).together == []


def test_runs_are_in_order_of_appearance(prints: Fingerprints) -> None:
    """Each member is compared with the one before it, so the order within a run decides what is found."""
    for number in range(200):
        prints.add(conversation(str(number), f"{number % 2}"))
    prints._write()
    assert sorted(prints._runs("exact")) == [list(range(0, 200, 2)), list(range(1, 200, 2))]
