"""The split: by conversation, deterministic, independent of order, stable when conversations are added."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.datasets.split import Split, SplitCandidate, bounds, score, split_conversations
from brightrun.errors import DatasetError

PERSONAS = ("a", "b", "c")
ARCS = ("x", "y", None)


def candidates(count: int, *, start: int = 0, cells: int = 9) -> list[SplitCandidate]:
    return [
        SplitCandidate(f"conversation-{index}", PERSONAS[index % cells % 3], ARCS[index % cells // 3 % 3])
        for index in range(start, start + count)
    ]


def split(items: list[SplitCandidate], fraction: float = 0.1, seed: int = 42, **more: object) -> Split:
    return split_conversations(items, validation_fraction=fraction, seed=seed, **more)  # type: ignore[arg-type]


sizes = st.integers(2, 120)
fractions = st.floats(0.01, 0.5)
seeds = st.integers(0, 1000)


@settings(deadline=None)
@given(sizes, fractions, seeds)
def test_everyone_is_on_one_side_and_the_total_is_in_bounds(count: int, fraction: float, seed: int) -> None:
    items = candidates(count)
    result = split(items, fraction, seed)
    assert sorted(result.train + result.validation) == sorted(item.id for item in items)
    least = 8 if count >= 24 else 1
    low = max(least, math.floor(0.75 * count * fraction))
    high = min(max(2, least, math.ceil(1.25 * count * fraction)), count - 1)
    assert min(low, high) <= len(result.validation) <= high
    assert bounds(count, fraction) == (min(low, high), high)


@pytest.mark.parametrize(
    ("count", "fraction", "kept"),
    [
        (23, 0.1, (1, 3)),
        (24, 0.1, (8, 8)),
        (27, 0.01, (8, 8)),
        (80, 0.1, (8, 10)),
        (81, 0.2, (12, 21)),
        (2, 0.5, (1, 1)),
    ],
)
def test_a_verdict_has_enough_to_rest_on_from_24_conversations(
    count: int, fraction: float, kept: tuple[int, int]
) -> None:
    assert bounds(count, fraction) == kept
    for seed in range(20):
        assert kept[0] <= len(split(candidates(count), fraction, seed).validation) <= kept[1]


def test_copies_are_no_conversations_of_their_own() -> None:
    """24 conversations of which three are one: 22 stand on their own, too few to be asked for eight."""
    items = candidates(24)
    together = [[item.id for item in items[:3]]]
    assert bounds(24, 0.1, 22) == (1, 4)
    assert all(len(split(items, seed=seed, groups=together).validation) <= 4 for seed in range(20))


@settings(deadline=None)
@given(st.lists(st.sampled_from([(p, a) for p in PERSONAS for a in ARCS]), min_size=24, max_size=90), fractions, seeds)
def test_no_stratum_is_kept_for_validation_as_a_whole(
    cells: list[tuple[str, str | None]], fraction: float, seed: int
) -> None:
    items = [SplitCandidate(f"c{number}", *cell) for number, cell in enumerate(cells)]
    spare = len(items) - len(set(cells))  # what can be kept without emptying a stratum
    result = split(items, fraction, seed)
    if bounds(len(items), fraction)[0] <= spare:
        assert all(row.validation < row.conversations for row in result.strata)


def test_where_every_conversation_is_a_stratum_some_are_kept_all_the_same() -> None:
    items = [SplitCandidate(f"c{number}", f"persona {number}", None) for number in range(30)]
    assert len(split(items).validation) == 8


@settings(deadline=None)
@given(sizes, fractions, seeds, st.randoms(use_true_random=False))
def test_order_does_not_matter(count: int, fraction: float, seed: int, shuffler: random.Random) -> None:
    items = candidates(count)
    shuffled = items.copy()
    shuffler.shuffle(shuffled)
    assert split(shuffled, fraction, seed).sha256() == split(items, fraction, seed).sha256()


def drawn(items: list[SplitCandidate], fraction: float, seed: int) -> set[str]:
    return {item.id for item in items if score(seed, item.id) < fraction}


@settings(deadline=None)
@given(st.integers(400, 900), st.integers(1, 300), seeds)
def test_adding_to_a_large_set_moves_only_what_is_corrected(count: int, added: int, seed: int) -> None:
    """Beyond the few that a total outside its bounds costs, every conversation follows its own draw alone."""
    for size in (count, count + added):
        items = candidates(size, cells=1)
        free = drawn(items, 0.2, seed)
        missing = max(0, math.floor(0.75 * 0.2 * size) - len(free))
        spare = max(0, len(free) - math.ceil(1.25 * 0.2 * size))
        held = set(split(items, 0.2, seed).validation)
        assert (len(held - free), len(free - held)) == (missing, spare)


def test_adding_conversations_moves_none_where_nothing_is_corrected() -> None:
    before = set(split(candidates(2000)).validation)
    after = set(split(candidates(2600)).validation)
    old = {item.id for item in candidates(2000)}
    assert before == after & old


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 60), fractions, seeds)
def test_a_previous_split_is_kept_exactly(count: int, added: int, fraction: float, seed: int) -> None:
    before = split(candidates(count), fraction, seed)
    after = split(candidates(count + added), fraction, seed + 1, previous=before)
    assert set(before.validation) <= set(after.validation)
    assert set(before.train) <= set(after.train)


@settings(deadline=None)
@given(st.integers(6, 60), seeds, st.data())
def test_near_duplicates_stay_together(count: int, seed: int, data: st.DataObject) -> None:
    items = candidates(count)
    names = [item.id for item in items]
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=2, max_size=count // 2, unique=True))
    held = set(split(items, 0.2, seed, groups=[chosen]).validation)
    assert held.isdisjoint(chosen) or held.issuperset(chosen)


def test_a_newcomer_follows_its_old_near_duplicate() -> None:
    before = split(candidates(40), 0.2)
    old = before.validation[0]
    after = split(candidates(60), 0.2, previous=before, groups=[[old, "conversation-50", "conversation-51"]])
    assert {old, "conversation-50", "conversation-51"} <= set(after.validation)


def test_a_large_stratum_is_never_bare() -> None:
    for seed in range(60):
        items = [SplitCandidate(f"many-{index}", "a", "x") for index in range(200)]
        items += [SplitCandidate(f"few-{index}", "b", "y") for index in range(10)]
        result = split(items, 0.1, seed)
        assert {row.persona for row in result.strata if row.validation} == {"a", "b"}


def test_every_persona_and_arc_that_is_large_enough_is_represented() -> None:
    """27 conversations in cells too small for a quota of their own, as in the sample dataset."""
    for seed in range(60):
        items = [SplitCandidate(f"c-{index}", PERSONAS[index % 3], f"arc-{index % 6}") for index in range(27)]
        result = split(items, 0.25, seed)
        held = [row for row in result.strata if row.validation]
        assert {row.persona for row in held} == set(PERSONAS)
        assert {row.arc for row in held} == {f"arc-{number}" for number in range(6)}


def test_the_strata_table_adds_up() -> None:
    result = split(candidates(90), 0.2)
    assert sum(row.conversations for row in result.strata) == 90
    assert sum(row.validation for row in result.strata) == len(result.validation)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few(count: int) -> None:
    with pytest.raises(DatasetError, match="at least 2 conversations"):
        split(candidates(count))


def test_copies_of_one_conversation_prove_nothing() -> None:
    items = candidates(5)
    with pytest.raises(DatasetError, match="near-duplicates of one another"):
        split(items, groups=[[item.id for item in items]])


def test_the_hash_knows_seed_and_sides() -> None:
    first = split(candidates(50))
    assert first.sha256() == split(candidates(50)).sha256()
    assert first.sha256() != split(candidates(50), seed=43).sha256()
    assert Split.model_validate_json(first.model_dump_json()) == first
