"""Steps of a run: every sequence once per epoch, counted in answers, the same on every machine."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.errors import DatasetError, RecipeError
from brightrun.templating.batches import ExampleSize, Step, plan_steps

PLAIN: dict[str, Any] = {
    "batch_size": 4, "gradient_accumulation_steps": 4, "num_epochs": 1.0, "max_steps": None, "seed": 7,
}  # fmt: skip
ANSWERS = st.lists(st.integers(1, 9), min_size=1, max_size=80)
TARGETS = {"batch_size": st.integers(1, 6), "accumulation": st.integers(1, 6), "seed": st.integers(0, 10**6)}


def sizes_of(answers: list[int]) -> list[ExampleSize]:
    return [ExampleSize(tokens=500 * count, trained_tokens=300 * count, answers=count) for count in answers]


def indices(step: Step) -> list[int]:
    return [index for micro_batch in step.micro_batches for index in micro_batch]


def answers_of(step: Step, answers: list[int]) -> int:
    return sum(answers[index] for index in indices(step))


@settings(deadline=None)
@given(answers=ANSWERS, epochs=st.integers(1, 3), **TARGETS)
def test_every_sequence_once_per_epoch(
    answers: list[int], epochs: int, batch_size: int, accumulation: int, seed: int
) -> None:
    steps = plan_steps(
        sizes_of(answers), batch_size=batch_size, gradient_accumulation_steps=accumulation,
        num_epochs=epochs, max_steps=None, seed=seed,
    )  # fmt: skip
    for epoch in range(epochs):
        seen = [index for step in steps if epoch < step.epoch <= epoch + 1 for index in indices(step)]
        assert sorted(seen) == list(range(len(answers)))
    assert [step.epoch for step in steps] == pytest.approx(
        [done / len(answers) for done in accumulate(len(indices(step)) for step in steps)]
    )
    assert steps[-1].epoch == epochs


@settings(deadline=None)
@given(answers=ANSWERS, **TARGETS)
def test_rows_hold_at_most_a_batch_of_answers_or_one_sequence(
    answers: list[int], batch_size: int, accumulation: int, seed: int
) -> None:
    steps = plan_steps(
        sizes_of(answers), batch_size=batch_size, gradient_accumulation_steps=accumulation,
        num_epochs=1, max_steps=None, seed=seed,
    )  # fmt: skip
    for step in steps:
        assert step.micro_batches
        for micro_batch in step.micro_batches:
            assert len(micro_batch) == 1 or (micro_batch and sum(answers[index] for index in micro_batch) <= batch_size)
        for micro_batch, following in zip(step.micro_batches, step.micro_batches[1:], strict=False):
            assert sum(answers[index] for index in (*micro_batch, following[0])) > batch_size


@settings(deadline=None)
@given(answers=st.lists(st.integers(1, 6), min_size=40, max_size=200), seed=st.integers(0, 10**6))
def test_the_mean_step_is_what_the_recipe_says(answers: list[int], seed: int) -> None:
    steps = plan_steps(sizes_of(answers), **{**PLAIN, "seed": seed})
    counts = [answers_of(step, answers) for step in steps[:-1]]
    assert sum(counts) / len(counts) == pytest.approx(16, abs=3 / len(counts) + 1e-9)
    assert all(16 - 6 <= count <= 16 + 6 for count in counts)
    assert 8 - 3 <= answers_of(steps[-1], answers) <= 16 + 8 + 6


def test_one_conversation_in_three_answers_still_means_sixteen() -> None:
    steps = plan_steps(sizes_of([3] * 160), **PLAIN)
    assert Counter(answers_of(step, [3] * 160) for step in steps) == {15: 20, 18: 10}


def test_between_two_equally_near_ends_the_larger_is_taken() -> None:
    steps = plan_steps(sizes_of([2] * 6), **{**PLAIN, "batch_size": 3, "gradient_accumulation_steps": 1})
    assert [answers_of(step, [2] * 6) for step in steps] == [4, 2, 4, 2]


def test_one_giant_does_not_starve_the_steps_after_it() -> None:
    answers = [400, *[1] * 400]
    steps = plan_steps(sizes_of(answers), **PLAIN)
    counts = [answers_of(step, answers) for step in steps]
    after = counts[counts.index(400) + 1 :]
    assert after[0] == 8
    assert all(16 <= count < 24 for count in after[1:])


def test_separate_examples_fill_steps_exactly() -> None:
    steps = plan_steps(sizes_of([1] * 37), **PLAIN)
    assert [[len(micro_batch) for micro_batch in step.micro_batches] for step in steps] == [[4] * 4, [4] * 5 + [1]]
    assert [step.epoch for step in steps] == [16 / 37, 1.0]


def test_half_a_step_is_a_step_and_less_joins_the_last() -> None:
    assert [len(indices(step)) for step in plan_steps(sizes_of([1] * 40), **PLAIN)] == [16, 16, 8]
    assert [len(indices(step)) for step in plan_steps(sizes_of([1] * 39), **PLAIN)] == [16, 23]
    assert [len(indices(step)) for step in plan_steps(sizes_of([1] * 3), **PLAIN)] == [3]


def test_a_part_of_an_epoch_takes_its_share_of_steps_rounded_up() -> None:
    for epochs, wanted in ((0.01, 1), (0.5, 5), (1.1, 11), (1.15, 12), (2.0, 20), (2.999, 30)):
        steps = plan_steps(sizes_of([1] * 160), **{**PLAIN, "num_epochs": epochs})
        assert len(steps) == wanted
        assert steps[-1].epoch == pytest.approx(wanted / 10)


def test_max_steps_cuts_the_same_run() -> None:
    whole = plan_steps(sizes_of([2, 5, 1, 3] * 20), **{**PLAIN, "num_epochs": 3})
    for limit in (1, 7, len(whole), len(whole) + 5):
        cut = plan_steps(sizes_of([2, 5, 1, 3] * 20), **{**PLAIN, "num_epochs": 3, "max_steps": limit})
        assert cut == whole[:limit]


def test_the_order_is_known_and_differs_by_epoch_and_seed() -> None:
    """Fixed numbers: a run resumed on another machine or Python must see the same order."""
    steps = plan_steps(sizes_of([1] * 8), **{**PLAIN, "num_epochs": 2})
    assert [step.micro_batches for step in steps] == [((7, 4, 3, 5), (1, 2, 0, 6)), ((4, 1, 2, 5), (3, 7, 6, 0))]
    other = plan_steps(sizes_of([1] * 8), **{**PLAIN, "seed": 8})
    assert indices(other[0]) != indices(steps[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("gradient_accumulation_steps", 0), ("max_steps", 0), ("num_epochs", 0.0),
     ("num_epochs", float("nan")), ("num_epochs", float("inf"))],
)  # fmt: skip
def test_numbers_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"{name} is"):
        plan_steps(sizes_of([1]), **{**PLAIN, name: value})


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(DatasetError, match="no sequence"):
        plan_steps([], **PLAIN)
    with pytest.raises(DatasetError, match="Sequence 1 has no answer"):
        plan_steps([ExampleSize(10, 5, 1), ExampleSize(10, 0, 0)], **PLAIN)
