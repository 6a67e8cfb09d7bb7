"""How many answers are sampled and how long they may become, where nobody says so."""

from __future__ import annotations

import pytest

from brightrun.contract.hyperparameters import DeviceKind, Hyperparameters
from brightrun.runs.prompts import DEFAULT_ANSWERS, DEFAULT_TOKENS, sampling_of, settle_sampling


def _settled(answer_tokens: list[int], trained_on: int, kind: DeviceKind = "cpu", **settings: int) -> tuple[int, int]:
    settled = settle_sampling(
        Hyperparameters.model_validate(settings), answer_tokens=answer_tokens, trained_on=trained_on, kind=kind
    )
    return sampling_of(settled)


def test_an_answer_may_be_a_quarter_longer_than_the_longest() -> None:
    assert _settled([90, 201, 150], 0)[1] == 252
    assert _settled([3], 0)[1] == 32, "a short one may still end"
    assert _settled([9000], 0)[1] == 4096


@pytest.mark.parametrize(
    ("kind", "trained_on", "answers"),
    [
        ("cpu", 22_698, 16),  # the quickstart: a batch in any case
        ("cpu", 149_000, 16),  # 0.2 × 149,000 / (3 × 40 × 125) = 1.99
        ("cpu", 150_000, 32),
        ("cpu", 10_000_000, 40),  # all there are
        ("cuda", 100_000, 8),
        ("cuda", 300_000, 16),  # 0.2 × 300,000 / (3 × 80 × 125) = 2
    ],
)
def test_as_many_batches_as_a_fifth_of_the_training_pays_for(kind: DeviceKind, trained_on: int, answers: int) -> None:
    assert _settled([100] * 40, trained_on, kind)[0] == answers


def test_no_more_than_there_are_and_no_more_than_sixty_four() -> None:
    assert _settled([100, 100], 10_000_000)[0] == 2
    assert _settled([100] * 90, 10_000_000)[0] == 64


def test_what_a_person_sets_stays() -> None:
    assert _settled([100] * 40, 22_698, sample_answers=3, sample_tokens=50) == (3, 50)
    assert _settled([100] * 40, 60_000, sample_tokens=50)[0] == 32


def test_settings_that_nobody_settled_have_the_usual_values() -> None:
    assert sampling_of(Hyperparameters()) == (DEFAULT_ANSWERS, DEFAULT_TOKENS)
