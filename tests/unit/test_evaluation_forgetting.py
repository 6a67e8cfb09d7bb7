"""Forgetting: counts, states and the owner's sentence."""

from __future__ import annotations

import pytest

from brightrun.errors import ContractError
from brightrun.evaluation.forgetting import Forgetting, compare_general
from tests.unit.retention_reports import forgotten


def test_nothing_changed_is_exactly_no_forgetting() -> None:
    change = forgotten(lost=0)
    assert (change.lost, change.gained, change.difference) == (0, 0, 0.0)
    assert change.interval_low < 0 < change.interval_high
    assert change.state == "kept"
    assert change.sentence == "It still answers 100 of 128 general questions rightly, 100 before: no clear loss."
    assert change.lost_questions() == []


def test_a_few_lost_are_no_clear_loss_and_many_are() -> None:
    few, many = forgotten(lost=7, gained=3), forgotten(lost=29)
    assert (few.state, many.state) == ("kept", "lost")
    assert (few.tuned_right, few.difference) == (96, -4 / 128)
    assert few.sentence == "It still answers 96 of 128 general questions rightly, 100 before: no clear loss."
    assert many.sentence == (
        "It answers 71 of 128 general questions rightly, 100 before: some of what it knew is lost, most of it in "
        "instructions (25 before, 17 now)."
    )
    assert forgotten(lost=32).sentence == (
        "It answers 68 of 128 general questions rightly, 100 before: some of what it knew is lost."  # 8 of every kind
    )
    assert len(many.lost_questions()) == 29
    assert all(score.tuned_answer != score.right == score.base_answer for score in many.lost_questions())


def test_five_lost_of_five_changed_are_not_enough_and_six_are() -> None:
    assert forgotten(lost=5).state == "kept"
    assert forgotten(lost=6).state == "lost"


def test_the_kind_that_lost_most_is_named_with_its_counts() -> None:
    """The first 32 questions hold eight of every kind; all arithmetic among the known is turned wrong."""
    scores = [
        score.model_copy(update={"tuned_answer": "wrong"}) if score.kind == "arithmetic" else score
        for score in forgotten(lost=0).scores
    ]
    change = compare_general(scores)
    assert change.state == "lost"
    assert change.sentence.endswith("most of it in arithmetic (25 before, 0 now).")
    assert [(kind.kind, kind.base_right, kind.tuned_right) for kind in change.by_kind] == [
        ("instructions", 25, 25), ("arithmetic", 25, 0), ("facts", 25, 25), ("safety", 25, 25),
    ]  # fmt: skip


def test_few_questions_and_a_guessing_base_are_too_few() -> None:
    assert forgotten(lost=20, known=31, count=31).state == "too_few"
    assert forgotten(lost=20, known=32, count=32).state == "lost"
    guessing = forgotten(lost=40, known=50)
    assert guessing.state == "too_few"
    assert guessing.sentence == (
        "The base model answers 50 of 128 general questions rightly, and guessing would answer 48: there is too little "
        "to lose. The tuned model answers 10."
    )
    assert "too few were asked" in forgotten(lost=1, known=16, count=16).sentence


def test_guessing_is_what_the_numbers_of_answers_say() -> None:
    change = forgotten(lost=0)
    assert change.by_chance == pytest.approx(sum(1 / score.answers for score in change.scores))
    assert forgotten(lost=0, known=58).state == "kept"  # 48.2 + 1.645 times 5.4 is 57.0
    assert forgotten(lost=0, known=57).state == "too_few"


def test_no_question_and_one_asked_twice_are_refused() -> None:
    scores = forgotten(lost=0).scores
    with pytest.raises(ContractError):
        compare_general([])
    with pytest.raises(ContractError):
        compare_general([*scores, scores[0]])


def test_it_comes_back_from_json() -> None:
    change = forgotten(lost=3)
    assert Forgetting.model_validate_json(change.model_dump_json()) == change
