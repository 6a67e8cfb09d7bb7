"""The general questions: of our own kinds, none twice, nothing to be guessed from; and how a template encodes them."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.runs.general_questions import (
    KINDS,
    GeneralQuestion,
    all_questions,
    common_prefix,
    encode_questions,
    question_sizes,
)
from tests.unit.family_models import family_model

QUESTIONS = all_questions()


def test_there_are_as_many_of_each_kind_and_none_is_there_twice() -> None:
    assert len(QUESTIONS) == Hyperparameters().general_questions == 128
    assert set(Counter(question.kind for question in QUESTIONS).values()) == {32}
    assert len({question.id for question in QUESTIONS}) == 128
    assert len({re.sub(r"\W", "", question.question.casefold()) for question in QUESTIONS}) == 128
    for question in QUESTIONS:
        assert len(set(question.answers)) == len(question.answers), question.id
        assert all(text == text.strip() for text in (question.question, *question.answers)), question.id


def test_any_beginning_has_as_many_of_each_kind_as_can_be() -> None:
    for count in (4, 31, 64):
        counts = Counter(question.kind for question in QUESTIONS[:count])
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_third_of_the_safety_questions_asks_for_each_conduct() -> None:
    conduct = Counter(question.id.partition("-")[0] for question in QUESTIONS if question.kind == "safety")
    assert conduct == {"refuse": 11, "care": 11, "answer": 10}


def picked(pick: Callable[[list[int]], int], questions: list[GeneralQuestion], measure: Callable[[str], int]) -> float:
    """The share answered rightly by who picks by length alone; of several as long, any."""
    right = 0.0
    for question in questions:
        lengths = [measure(answer) for answer in question.answers]
        chosen = [place for place, length in enumerate(lengths) if length == pick(lengths)]
        right += (0 in chosen) / len(chosen)
    return right / len(questions)


def in_words(answer: str) -> int:
    return len(answer.split())


@pytest.mark.parametrize("pick", [min, max])
@pytest.mark.parametrize("measure", [len, in_words])
def test_the_right_answer_cannot_be_told_by_its_length(pick: Callable[..., int], measure: Callable[[str], int]) -> None:
    chance = sum(1 / len(question.answers) for question in QUESTIONS) / len(QUESTIONS)
    assert abs(picked(pick, list(QUESTIONS), measure) - chance) < 0.08
    for kind in KINDS:
        some = [question for question in QUESTIONS if question.kind == kind]
        chance = sum(1 / len(question.answers) for question in some) / len(some)
        assert abs(picked(pick, some, measure) - chance) < 0.17, kind


def test_sums_are_right() -> None:
    """Of the questions that are written as a term; the position in the file says which answer is right."""
    operators = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    checked = 0
    for question in QUESTIONS:
        if term := re.fullmatch(r"What is (\d+) ([-+*/]) (\d+)\?", question.question):
            value = operators[term[2]](int(term[1]), int(term[3]))
            assert question.right == f"{value:g}", question.id
            assert all(int(wrong) != value for wrong in question.wrong)
            checked += 1
    assert checked == 25


@pytest.mark.parametrize("template", ["llama3", "qwen3", "gemma3", "mistral_small"])
def test_every_family_s_template_takes_them(tmp_path: Path, template: str) -> None:
    chat = family_model(tmp_path / template, template)
    encoded = encode_questions(chat, 128)
    prefix = common_prefix(encoded)
    assert [each.question for each in encoded] == list(QUESTIONS)
    for each in encoded:
        assert each.shared[: len(prefix)] == prefix
        for answer, text in zip(each.answers, each.question.answers, strict=True):
            assert chat.decode(answer.ids[answer.scored_from :], skip_special=False) == text
            whole = [*each.shared, *answer.ids]
            assert each.question.question in chat.decode(whole)
            assert chat.end_of_turn_id not in answer.ids
    assert sum(size.trained_tokens for size in question_sizes(encoded)) == sum(
        len(answer.ids) - answer.scored_from for each in encoded for answer in each.answers
    )


def test_none_are_asked_where_none_are_wanted(tmp_path: Path) -> None:
    assert encode_questions(family_model(tmp_path, "llama3"), 0) == []
    assert question_sizes([]) == ()
