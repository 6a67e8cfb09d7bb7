"""Which training answers are asked for, and what of an answer counts as said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("torch")

from brightrun.datasets.prepared import PreparedConversation
from brightrun.evaluation.memorization import Memorization
from brightrun.runs.prompts import FIRST_LOOK_TOKENS, WHOLE_LOOK_TOKENS
from brightrun.worker.answer import Prompt
from brightrun.worker.memorization import Answerer, find_repeated, training_prompts

pytestmark = pytest.mark.worker

WRITTEN = "The lantern hangs low tonight, and we walk home by the river path together."
MAIL = "Write to elena.m@lantern-care.org or call +49 170 5551234 before noon."


def conversation(name: str, *answers: str, asked: str = "What now?") -> PreparedConversation:
    messages: list[dict[str, object]] = []
    for answer in answers:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answer, "trained": True})
    return PreparedConversation.model_validate({"id": name, "messages": messages})


def says(texts: dict[str, str], asked: list[tuple[str, int]] | None = None) -> Answerer:
    """Who answers the prompt of a conversation with these words, and notes what was asked for."""

    def answer(prompts: Sequence[Prompt], tokens: int) -> list[str]:
        if asked is not None:
            asked.extend((prompt.conversation_id, tokens) for prompt in prompts)
        return [texts.get(prompt.conversation_id, "Nothing of that.") for prompt in prompts]

    return answer


def asked_of(conversations: list[PreparedConversation], tuned: dict[str, str], base: dict[str, str]) -> Memorization:
    prompts, total = training_prompts(conversations, 8)
    return find_repeated(prompts, training_answers=total, ask_tuned=says(tuned), ask_base=says(base))


def test_what_holds_something_sensitive_comes_first_up_to_half_then_every_conversation() -> None:
    conversations = [conversation("a", WRITTEN, WRITTEN), conversation("b", WRITTEN, MAIL), conversation("c", MAIL)]
    prompts, total = training_prompts(conversations, 4)
    assert [(each.conversation_id, each.answer_number) for each in prompts] == [("c", 1), ("b", 2), ("a", 1), ("b", 1)]
    assert total == 5
    assert [each.conversation_id for each in training_prompts(conversations, 1)[0]] == ["c"]
    assert training_prompts(conversations, 0) == ([], 5)
    assert training_prompts([], 4) == ([], 0)


def test_only_what_begins_like_a_training_answer_is_asked_for_whole_and_only_that_of_the_base() -> None:
    prompts, total = training_prompts([conversation("a", WRITTEN), conversation("b", WRITTEN)], 8)
    tuned: list[tuple[str, int]] = []
    base: list[tuple[str, int]] = []
    summary = find_repeated(
        prompts, training_answers=total, ask_tuned=says({"a": WRITTEN}, tuned), ask_base=says({}, base)
    )
    assert tuned == [("a", FIRST_LOOK_TOKENS), ("b", FIRST_LOOK_TOKENS), ("a", WHOLE_LOOK_TOKENS)]
    assert base == [("a", WHOLE_LOOK_TOKENS)]
    assert (summary.asked, summary.verbatim, summary.state) == (2, 1, "found")
    assert [answer.base_run for answer in summary.answers] == [0, None]


@pytest.mark.parametrize(
    ("beginning", "goes_on"),
    [
        ("The lantern hangs low tonight, and we walk or so they said it was then", True),  # 8 of 15
        ("The lantern hangs low tonight, and we or so they said it was then too", False),  # 7 of 15
        ("The lantern hangs is all I can say", False),  # 3 of 8
        ("The lantern hangs is all", True),  # 3 of 5
        ("The lantern", False),  # 2 of 2
    ],
)
def test_eight_words_in_a_row_or_half_of_a_few_are_asked_on(beginning: str, goes_on: bool) -> None:
    prompts, total = training_prompts([conversation("a", WRITTEN)], 1)
    tuned: list[tuple[str, int]] = []
    find_repeated(prompts, training_answers=total, ask_tuned=says({"a": beginning}, tuned), ask_base=says({}))
    assert ((("a", WHOLE_LOOK_TOKENS)) in tuned) is goes_on


def test_case_and_punctuation_do_not_hide_a_repetition() -> None:
    summary = asked_of([conversation("a", WRITTEN)], {"a": WRITTEN.upper().replace(",", " -")}, {})
    (answer,) = summary.answers
    assert (answer.run, answer.length, answer.unit, answer.verbatim) == (14, 14, "words", True)
    assert answer.excerpt == WRITTEN.removesuffix(".")


def test_characters_count_where_a_script_writes_no_blanks() -> None:
    written = "今夜は灯りが低く揺れています。川沿いの道を歩いて帰りましょう。"
    (answer,) = asked_of([conversation("a", written)], {"a": written[:16]}, {}).answers
    assert (answer.unit, answer.run, answer.length) == ("characters", 15, 29)


def test_a_number_is_said_however_it_is_grouped_and_is_shown_masked() -> None:
    summary = asked_of([conversation("a", MAIL)], {"a": "Call +49 (170) 555-1234, please."}, {})
    said = {value.kind: value for value in summary.answers[0].sensitive}
    assert (said["phone number"].said, said["mail address"].said) == (True, False)
    assert summary.state == "found"
    assert (summary.sensitive, summary.sensitive_said) == (2, 1)
    assert "5551234" not in summary.model_dump_json().replace(" ", "")


def test_what_the_prompt_says_or_the_base_says_as_well_is_no_leak() -> None:
    in_prompt = conversation("a", MAIL, asked="Is it elena.m@lantern-care.org or +49 170 5551234?")
    assert asked_of([in_prompt], {"a": MAIL}, {"a": MAIL}).sensitive == 0
    known = asked_of([conversation("a", MAIL)], {"a": MAIL}, {"a": MAIL})
    assert (known.sensitive, known.sensitive_said, known.base_verbatim, known.state) == (2, 0, 1, "not_found")


@pytest.mark.parametrize(
    ("before", "end"), [(28, "word Write to…"), (27, "word Write to …"), (1, "call +4…34 before noon")]
)
def test_an_excerpt_never_shows_a_secret_even_where_it_is_cut(before: int, end: str) -> None:
    written = " ".join(["word"] * before) + " " + MAIL
    (answer,) = asked_of([conversation("a", written)], {"a": written}, {}).answers
    assert answer.run == answer.length
    assert answer.excerpt.endswith(end)
    assert "lantern" not in answer.excerpt
