"""Texts that say the same again, and questions that are answered differently."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.datasets.checks.conflicting_answers import ConflictingAnswers
from brightrun.datasets.checks.echoed_questions import is_echo
from brightrun.datasets.checks.repeated_answers import RepeatedAnswers
from brightrun.datasets.hash_table import HashTable
from brightrun.texts.loops import is_word_loop, repeated_sentence
from tests.unit.content_checks import LONG, audited, talk
from tests.unit.test_datasets_builders import (
    answer_about,
    finding,
    said,
)

# Repetition


@pytest.mark.parametrize(
    ("question", "answer", "echo"),
    [
        ("How late is it there?", "how late is it there", True),
        ("How late is it there?", "“How late is it there?”", True),
        ("How late is it there?", "How late is it there? It is five.", False),
        ("Thank you!", "Thank you!", False),
        ("What is due today?", "\uff37hat is due today?", True),
        ("我今天应该先付房租还是先还信用卡？", "我今天应该先付房租还是先还信用卡？", True),
    ],
)
def test_an_echo_has_the_same_words(question: str, answer: str, *, echo: bool) -> None:
    assert is_echo(question, answer) is echo


@pytest.mark.parametrize(
    "text",
    [
        "I am so sorry to hear that. " * 4,
        "One honest beginning. " + "Then it loops on! " * 5,
        "same line here\n" * 6,
        "我很抱歉听到这个消息。" * 5,
        "We rest now. We rest now. We rest now. We rest now.",
        "- rest well\n\n" * 9,
    ],
)
def test_a_sentence_that_is_most_of_the_text_is_a_loop(text: str) -> None:
    assert repeated_sentence(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "I am so sorry. " * 3 + LONG,
        "No. No. No. No. No. No.",
        "I hear you. " * 4 + LONG * 2,
        "\n\n\n\n\n\n",
        "...... ...... ......",
    ],
)
def test_a_refrain_is_no_loop(text: str) -> None:
    assert repeated_sentence(text) is None


def test_words_without_an_end_are_a_loop_and_long_honest_texts_are_none() -> None:
    assert is_word_loop("well I think so and " * 20)
    assert is_word_loop(" ".join(map(str, range(3000))) + " and then" * 550), "the end counts"
    assert not is_word_loop(" ".join(answer_about(str(number)) for number in range(60)))
    assert not is_word_loop("ha " * 20)


@given(st.lists(st.sampled_from(["rest", "sleep", "walk", "eat"]), min_size=2, max_size=6), st.integers(4, 30))
def test_a_loop_is_found_however_long(words: list[str], times: int) -> None:
    assert repeated_sentence(f"{' '.join(words)}. " * times) == " ".join(words)


def test_one_answer_to_many_questions_is_counted_once_a_conversation() -> None:
    check = RepeatedAnswers()
    for number in range(10):
        same = "Please rest." if number % 3 == 0 else LONG + str(number)
        check.inspect(talk(f"Question {number}", same, f"And {number}", same, name=str(number)))
    (told,) = check.findings()
    assert (told.severity, told.count, told.examples[0].conversation) == ("warning", 1, "3")
    assert told.examples[0].detail == "in 4 conversations: Please rest."


def test_copies_pairs_and_rare_answers_are_no_repeated_answers() -> None:
    copies, pair, rare = RepeatedAnswers(), RepeatedAnswers(), RepeatedAnswers()
    for number in range(100):
        copies.inspect(talk("Why?", "Please rest."))
        pair.inspect(talk(f"Question {number}", "Please rest." if number < 2 else str(number)))
        rare.inspect(talk(f"Question {number}", "Please rest." if number < 4 else str(number)))
    assert copies.findings() == pair.findings() == rare.findings() == []


def test_the_memory_of_answers_is_bounded_and_keeps_the_frequent_ones() -> None:
    check = RepeatedAnswers()
    for number in range(35_000):
        check.inspect(talk(f"Q{number}", "Please rest." if number % 10 == 0 else str(number)))
    assert len(check._candidates) + len(check._once) <= 5_000
    (told,) = check.findings()
    assert (told.severity, told.count) == ("info", 1)
    assert "in 3500 conversations" in told.examples[0].detail


# One question, several answers


def test_a_question_with_different_answers_is_told_with_both_conversations(tmp_path: Path) -> None:
    asked = ["What should I pay first?", "what should I pay   first", "What should I pay first?!"]
    report = audited(tmp_path, *([question, answer_about(question)] for question in asked), said("rent"))
    told = finding(report, "conflicting_answers")
    assert (told.severity, told.count) == ("warning", 1)
    assert told.examples[0].detail == "number 1 of the file answers it differently: what should I pay first"
    assert "validation loss" in told.explanation
    pair = audited(tmp_path, *([question, answer_about(question)] for question in asked[:2]))
    assert finding(pair, "conflicting_answers").severity == "info"


def test_the_same_answer_another_system_prompt_or_a_greeting_is_no_conflict() -> None:
    check = ConflictingAnswers()
    check.inspect(talk("What should I pay first?", "The rent."))
    check.inspect(talk("What should I pay first?", "the  rent."))
    check.inspect(talk("What should I pay first?", "Nothing.", system="You are a pirate."))
    check.inspect(talk("Hello there!", "Good morning."))
    check.inspect(talk("Hello there!", "What is it?"))
    assert check.findings() == []


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), max_size=30))
def test_a_hash_table_is_a_dictionary(pairs: dict[int, int]) -> None:
    table = HashTable()
    for filler in range(16_380):  # just below what is settled at once
        table.put((filler << 20) | 0xABCDE, filler)
    expected = {key: value for key, value in pairs.items() if key & 0xFFFFF != 0xABCDE}
    for key, value in expected.items():
        assert table.get(key) is None
        table.put(key, value)
    assert all(table.get(key) == value for key, value in expected.items())
    assert table.get((16_379 << 20) | 0xABCDE) == 16_379
    assert table.get((16_380 << 20) | 0xABCDE) is None
