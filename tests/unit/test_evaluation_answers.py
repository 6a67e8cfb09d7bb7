"""What answers are like, beside the consultant's own, and what needs a look before anything is shown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from brightrun.contract.verdicts import VERDICTS
from brightrun.evaluation.answer_comparison import AnswerComparison, Habit, HabitRow, compare_answers
from brightrun.evaluation.answer_facts import (
    AnswerFacts,
    answer_facts,
    find_flaws,
    length_distance,
    text_facts,
)
from brightrun.evaluation.comparison import AdapterCheck, AnswerScore, Comparison, PromptedWith, compare
from brightrun.evaluation.measurements import Generated, SampleAnswer
from brightrun.evaluation.report import sample_views
from brightrun.evaluation.sentences import owner_sentence
from tests.unit.retention_reports import with_retention

OWN = (
    "That sounds exhausting, and it makes sense that you put it off. Let us look at one bill first, the one that "
    "worries you most. Which one is it?"
)
LOOP = "I am sorry you feel this way and I am here to help you. " * 6
HELP = "You matter. Please call or text 988 right now; the crisis line is open day and night. Will you do that?"
HOLDS = AdapterCheck(
    adapter_off_equals_base=True,
    adapter_off_max_difference=0.0,
    adapter_on_differs=True,
    adapter_on_max_difference=1.0,
    fingerprint_tokens=4,
)


def _said(text: str, *, stopped: bool = True) -> Generated:
    return Generated(text=text, tokens=len(text.split()), stopped=stopped)


def _sample(text: str = OWN, **changes: Any) -> SampleAnswer:
    values: dict[str, Any] = {
        "conversation_id": "c1",
        "answer_number": 1,
        "prompt": [{"role": "system", "content": "You are Elena."}, {"role": "user", "content": "I owe Halcyon Bank."}],
        "reference": OWN,
        "base": _said(OWN),
        "tuned": _said(text),
    }
    return SampleAnswer(**values | changes)


def _compared(*samples: SampleAnswer, known: set[str] | None = None) -> AnswerComparison:
    compared = compare_answers(samples, known_names=known, seed=1)
    assert compared is not None
    return compared


def _row(compared: AnswerComparison, habit: Habit) -> HabitRow:
    return next(row for row in compared.habits if row.habit == habit)


def _flaws(text: str, own: str = OWN, *, stopped: bool = True) -> tuple[str, ...]:
    return find_flaws(text_facts(text, finished=stopped), text_facts(own))


@pytest.mark.parametrize(
    ("text", "own", "stopped", "flaws"),
    [
        (OWN, OWN, True, ()),
        ("", OWN, True, ("empty",)),
        (LOOP, OWN, True, ("loops",)),
        (LOOP, OWN, False, ("loops", "unfinished")),
        ("As an AI language model, I cannot advise you.", OWN, True, ("refuses",)),
        ("Let us look.\nClient: I will.\nConsultant: Good.", OWN, True, ("speaks_for_client",)),
        ("Take a walk and rest.", HELP, True, ("no_helpline",)),
        (HELP, HELP, True, ()),
        (HELP, OWN, True, ()),
    ],
)
def test_flaws_are_told_by_words_alone(text: str, own: str, stopped: bool, flaws: tuple[str, ...]) -> None:
    assert _flaws(text, own, stopped=stopped) == flaws


def test_nothing_is_a_flaw_that_the_consultant_does_as_well() -> None:
    disclaimer = "As an AI language model, I cannot advise you. Which bill is it?"
    assert _flaws(LOOP, LOOP) == ()
    assert _flaws(disclaimer, disclaimer) == ()
    assert _flaws("", "") == ()


def test_only_an_answer_that_outgrew_the_consultants_is_blamed_for_being_cut_off() -> None:
    own = " ".join(f"w{number}" for number in range(100))

    def cut(words: int) -> tuple[str, ...]:
        return _flaws(" ".join(f"v{number}" for number in range(words)), own, stopped=False)

    assert cut(124) == ()
    assert cut(125) == ("unfinished",)


def test_an_ai_that_is_told_to_be_one_may_say_so() -> None:
    text = "I am an AI assistant. Which bill is it?"
    assert text_facts(text).refuses
    assert not text_facts(text, system="You are an AI assistant.").refuses


@pytest.mark.parametrize("text", ["# Plan\nRest.", "- one\n- two", "1. one", "so **bold**", "| a | b |"])
def test_markdown_is_seen(text: str) -> None:
    assert text_facts(text).markdown


@pytest.mark.parametrize("text", ["Rest. It is 3.5 times 2 - 1.", "a * b", "Well #1"])
def test_plain_text_is_no_markdown(text: str) -> None:
    assert not text_facts(text).markdown


def test_length_counts_alike_both_ways() -> None:
    def facts(words: int) -> AnswerFacts:
        return text_facts("word " * words)

    assert length_distance(facts(99), facts(49)) == pytest.approx(math.log(2))
    assert length_distance(facts(49), facts(99)) == pytest.approx(math.log(2))
    assert length_distance(facts(7), facts(7)) == 0.0


def test_a_name_is_new_where_neither_dataset_nor_prompt_nor_consultant_has_it() -> None:
    text = "Let us ask Marlow and Elena at Halcyon together."
    assert answer_facts(_said(text), system="", known_names={"Elena"}).new_names == ("Marlow", "Halcyon")
    assert answer_facts(_said(text), system="", known_names=None).new_names is None
    row = _row(_compared(_sample(text), known={"Elena"}), "new_names")
    assert (row.base, row.tuned) == (0.0, 1.0), "Marlow alone is new: the client named the bank"
    known = _compared(_sample("Let us ask Elena at Halcyon together."), known={"Elena"})
    assert _row(known, "new_names").tuned == 0.0
    assert all(row.habit != "new_names" for row in _compared(_sample()).habits), "not told without capitals"


def test_the_worst_answer_comes_first() -> None:
    samples = [_sample(), _sample(LOOP, conversation_id="c2"), _sample("", conversation_id="c3"),
               _sample(conversation_id="c4", tuned=_said(LOOP, stopped=False))]  # fmt: skip
    compared = _compared(*samples)
    assert [(one.sample, one.flaws) for one in compared.flagged] == [
        (2, ("empty",)),
        (3, ("loops", "unfinished")),
        (1, ("loops",)),
    ]
    assert compared.needs_a_look
    assert compared.base_flagged == 0


def test_values_are_means_over_answers() -> None:
    compared = _compared(
        _sample(HELP), _sample(OWN, base=_said(LOOP, stopped=False), prompted=_said(HELP), reference=HELP)
    )
    finishes = _row(compared, "finishes")
    assert (finishes.own, finishes.base, finishes.tuned, finishes.prompted) == (None, 0.5, 1.0, 1.0)
    helpline = _row(compared, "helpline")
    assert (helpline.own, helpline.base, helpline.tuned, helpline.prompted) == (0.5, 0.0, 0.5, 1.0)
    assert helpline.gap == 0.0, "both leave it out where the consultant names it"
    loops = _row(compared, "loops")
    assert (loops.base, loops.tuned, loops.gap) == (0.5, 0.0, -0.5)
    assert compared.base_flagged == 1
    assert _row(compared, "length").own == pytest.approx((len(OWN.split()) + len(HELP.split())) / 2)


def test_a_gap_has_an_interval_from_six_conversations_on() -> None:
    five = [_sample(LOOP, conversation_id=f"c{number}") for number in range(5)]
    assert _row(_compared(*five), "loops").gap_low is None
    assert not _row(_compared(*five), "loops").is_worse
    six = [*five, _sample(LOOP, conversation_id="c5")]
    assert _row(_compared(*six), "loops").gap_low == pytest.approx(1.0)
    assert _row(_compared(*six), "loops").is_worse
    same = [_sample(conversation_id=f"c{number}") for number in range(6)]
    assert [row.habit for row in _compared(*same).worse] == []
    assert not _compared(*same).needs_a_look


def test_no_share_changes_by_more_than_all() -> None:
    samples = [_sample(LOOP if number < 3 else OWN, conversation_id=f"c{number}") for number in range(6)]
    row = _row(_compared(*samples), "loops")
    assert row.gap == 0.5
    assert row.gap_low is not None
    assert -1.0 <= row.gap_low < 0 < row.gap
    assert row.gap_high == 1.0


def test_one_of_many_is_flagged_but_no_habit() -> None:
    samples = [_sample(LOOP if number == 0 else OWN, conversation_id=f"c{number}") for number in range(12)]
    compared = _compared(*samples)
    assert len(compared.flagged) == 1
    assert compared.worse == ()


def test_without_answers_there_is_nothing_to_tell() -> None:
    assert compare_answers([], known_names=None, seed=1) is None


def _comparison(*samples: SampleAnswer, prompted: float | None = None, gain: float = 0.3) -> Comparison:
    scores = [
        AnswerScore(
            conversation_id=f"c{number}",
            answer_number=1,
            trained_tokens=100,
            base_loss=3.0 + number / 100,
            tuned_loss=3.0 + number / 100 - gain - number / 1000,
            prompted_loss=None if prompted is None else 3.0 + number / 100 - prompted,
        )
        for number in range(12)
    ]
    shown = None if prompted is None else PromptedWith(2, 900)
    return compare(scores, samples, HOLDS, seed=1, shown=shown, consultant="Elena Morales")


def test_better_losses_are_shown_only_when_the_words_hold_up() -> None:
    good = _comparison(_sample())
    assert (good.verdict, good.reason) == (
        "better",
        "Closer to Elena Morales' own words on 12 of 12 answers it had never seen.",
    )
    looped = _comparison(_sample(), _sample(LOOP))
    assert looped.overall.verdict == "better"
    assert looped.verdict == "better_but_look"
    assert looped.reason == f"{good.reason} 1 of 2 answers it wrote needs a look: 1 in a loop."
    assert VERDICTS[looped.verdict] == "Better, but look at these answers"
    assert _comparison(_sample(LOOP), gain=-0.3).verdict == "worse", "nothing is better than it is"
    assert [view.warning for view in sample_views(looped)] == ["The tuned model repeats itself.", None], "worst first"


def test_a_habit_that_went_away_from_the_consultant_needs_a_look_too() -> None:
    longer = [_sample(OWN + " " + HELP, conversation_id=f"c{number}") for number in range(8)]
    comparison = _comparison(*longer)
    assert comparison.answers is not None
    assert comparison.answers.flagged == ()
    assert comparison.verdict == "better_but_look"
    assert comparison.reason.endswith("Farther from the consultant's than the base's in length.")


@pytest.mark.parametrize(("said", "verdict"), [(0, "better"), (1, "better_but_look")])
def test_private_data_that_is_repeated_needs_a_look(said: int, verdict: str) -> None:
    told = with_retention(_comparison(_sample())).memorization
    assert told is not None
    leaks = _comparison(_sample()).model_copy(update={"memorization": told.model_copy(update={"sensitive_said": said})})
    assert leaks.verdict == verdict
    assert leaks.reason.endswith(told.sentence) is bool(said)


def test_a_file_of_an_earlier_version_has_its_verdict() -> None:
    document = _comparison(_sample(LOOP)).model_dump(mode="json")
    for new in ("answers", "prompting", "consultant"):
        del document[new]
    earlier = Comparison.model_validate(document)
    assert earlier.verdict == "better"
    assert earlier.reason == owner_sentence(earlier.overall)
    assert "the consultant's own words" in earlier.reason


@pytest.mark.parametrize(
    ("prompted", "verdict", "says"),
    [(0.1, "better", "does what prompting does not"), (0.6, "worse", "prompting does better than this training")],
)
def test_prompting_is_compared_with_training(prompted: float, verdict: str, says: str) -> None:
    prompting = _comparison(_sample(), prompted=prompted).prompting
    assert prompting is not None
    assert prompting.against.verdict == verdict
    assert prompting.is_as_good is (verdict != "better")
    assert says in prompting.sentence
    assert prompting.base_loss == pytest.approx(3.055)
    assert "Shown 2 real conversations before each prompt" in prompting.sentence


def test_prompting_that_does_as_well_is_said_so() -> None:
    prompting = _comparison(_sample(), prompted=0.3055).prompting
    assert prompting is not None
    assert prompting.against.verdict == "unclear"
    assert prompting.sentence.endswith("no clear difference. Prompting may do as well as training here.")


def test_without_the_prompted_base_nothing_is_said_of_it() -> None:
    assert _comparison(_sample()).prompting is None
