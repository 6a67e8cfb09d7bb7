"""Loops at the end of a text, and how much of it was said before."""

from __future__ import annotations

import pytest

from brightrun.texts.loops import LOOP_WORDS_AT_LEAST, ending_loop, repeated_share

HONEST = (
    "It makes sense that this feels heavy. Let us look at one number first: what comes in each month. "
    "Then we look at what has to go out, and only then at what is left."
)


@pytest.mark.parametrize("times", [3, 4, 9])
def test_a_block_said_again_to_the_end_is_a_loop(times: int) -> None:
    block = "I am here for you and we will go step by step."
    assert ending_loop(f"{HONEST} {' '.join([block] * times)}") == block


def test_a_loop_that_is_cut_off_in_its_last_repeat_is_still_one() -> None:
    block = "we will go step by step and then rest"
    assert ending_loop(f"{HONEST} {' '.join([block] * 4)} we will go step") is not None


def test_two_times_and_emphasis_are_no_loop() -> None:
    block = "I am here for you and we will go step by step."
    assert ending_loop(f"{HONEST} {block} {block}") is None
    assert ending_loop(f"{HONEST} no no no no") is None
    assert ending_loop(HONEST) is None
    assert ending_loop("") is None


def test_a_word_becomes_a_loop_with_the_words_that_emphasis_never_has() -> None:
    assert ending_loop("well " + "no " * (LOOP_WORDS_AT_LEAST - 1)) is None
    assert ending_loop("well " + "no " * LOOP_WORDS_AT_LEAST) == "no"


def test_a_loop_in_the_middle_that_goes_on_is_not_an_ending() -> None:
    assert ending_loop(" ".join(["so it goes on and on"] * 5) + f" {HONEST}") is None


def test_the_share_of_runs_that_stood_before() -> None:
    assert repeated_share("one two three") == 0.0
    assert repeated_share("a b c d e f") == 0.0
    assert repeated_share("a b c d a b c d") == pytest.approx(1 / 5)  # of abcd bcda cdab dabc abcd the last one
    assert repeated_share("A b c d a B c d") == pytest.approx(1 / 5), "letter case does not matter"
