"""The fast look before a pattern: where it says no, the pattern finds nothing."""

from __future__ import annotations

import re
import string
import sys

import pytest

from brightrun.datasets.checks import crisis_answers
from brightrun.datasets.conversation import Turn
from brightrun.datasets.findings import Tally
from brightrun.texts.letter_case import may_hold


@pytest.mark.parametrize("letter", string.ascii_lowercase + string.digits)
def test_no_letter_that_the_pattern_would_take_is_overlooked(letter: str) -> None:
    every_character = "".join(map(chr, range(sys.maxunicode + 1)))
    alike = re.findall(letter, every_character, re.IGNORECASE)
    assert letter in alike
    assert all(may_hold(f"word: {found}", (letter,)) for found in alike)


def test_words_that_do_not_stand_there_are_told() -> None:
    assert not may_hold("A calm text of Élan, ça va.", ("crisis", "988"))


@pytest.mark.parametrize(
    "text", ["Call 988.", "The SUICIDE line", "a cr\u0130s\u0131s l\u0131ne", "crisi\u017f line", "Samaritans"]
)
def test_answers_with_a_helpline_are_found_in_any_spelling(text: str) -> None:
    assert crisis_answers.is_crisis_answer(Turn(2, "assistant", text))


def test_details_beyond_the_examples_are_not_written() -> None:
    written = []

    def detail() -> str:
        written.append(1)
        return "what was found"

    tally = Tally(shown=2)
    for _ in range(5):
        tally.add(detail)
    assert (tally.count, len(written)) == (5, 2)
    assert [example.detail for example in tally.examples] == ["what was found"] * 2
