"""What was lost and what leaks, in the report and the model card: complete, harmless, and absent from earlier runs."""

from __future__ import annotations

import json
import re

import pytest

from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.model_card import render_model_card
from brightrun.evaluation.report import render_report
from brightrun.evaluation.run_report import RunReport
from tests.unit.retention_reports import with_retention
from tests.unit.run_reports import HOSTILE, report
from tests.unit.test_evaluation_report import Page


def with_both(*, lost: int = 12, runs: tuple[int, ...] = (80, 3), words: str = "Elena", said: bool = True) -> RunReport:
    told = report(words=words)
    return told.model_copy(
        update={"comparison": with_retention(told.comparison, lost=lost, runs=runs, words=words, said=said)}
    )


def test_the_report_tells_what_was_lost_and_what_is_repeated() -> None:
    told = with_both()
    forgetting, memorization = told.comparison.forgetting, told.comparison.memorization
    assert forgetting is not None
    assert memorization is not None
    text = " ".join(Page(render_report(told)).text.split())
    assert forgetting.sentence in text
    assert memorization.sentence in text
    assert "Lost some" in text
    assert "Repeats training data" in text
    assert "Change of the share: −9.4 points, 95 % interval −" in text
    assert "80 of 80 words in a row, 3 by the base, mail address el…om" in text
    assert all(score.question in text for score in forgetting.lost_questions())


def test_nothing_lost_and_nothing_repeated_says_so_without_a_table_of_answers() -> None:
    text = " ".join(Page(render_report(with_both(lost=0, runs=(3, 4), said=False))).text.split())
    assert "No clear loss" in text
    assert "Nothing repeated" in text
    assert "EXCERPT" not in text
    assert "Right before and wrong now (" not in text


@pytest.mark.parametrize("words", ["Elena", HOSTILE])
def test_what_answers_say_is_shown_as_text(words: str) -> None:
    page, harmless = Page(render_report(with_both(words=words))), Page(render_report(with_both()))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert f"EXCERPT {words}" in page.text


def test_how_many_more_may_be_repeated_is_said_only_where_more_could_be_asked_for() -> None:
    told = with_both()
    memorization = told.comparison.memorization
    assert memorization is not None
    all_asked = told.comparison.model_copy(
        update={"memorization": memorization.model_copy(update={"training_answers": memorization.asked})}
    )
    for page, complete in (
        (told, False), (told.model_copy(update={"comparison": all_asked}), True),
    ):  # fmt: skip
        for text in (render_report(page), render_model_card(page)):
            assert ("up to 99 % may be repeated" in text) is not complete


def test_the_card_has_both_sentences_and_no_word_of_an_answer() -> None:
    told = with_both(words=HOSTILE)
    card = render_model_card(told)
    assert told.comparison.forgetting is not None
    assert told.comparison.memorization is not None
    assert told.comparison.forgetting.sentence in card
    assert told.comparison.memorization.sentence in card
    assert "EXCERPT" not in card
    assert re.search(r"^\| arithmetic \| 32 \| 25 \| 22 \|$", card, re.MULTILINE | re.IGNORECASE)


def test_a_run_that_asked_neither_says_so() -> None:
    for page in (render_report(report()), render_model_card(report())):
        assert "neither general questions nor for training answers" in page


def test_a_comparison_of_an_earlier_version_has_neither() -> None:
    document = json.loads(report().comparison.model_dump_json())
    del document["forgetting"], document["memorization"]
    comparison = Comparison.model_validate_json(json.dumps(document))
    assert comparison.forgetting is None
    assert comparison.memorization is None
    both = with_retention(comparison)
    assert Comparison.model_validate_json(both.model_dump_json()) == both
