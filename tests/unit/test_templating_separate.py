"""One example for every trained answer."""

from __future__ import annotations

from brightrun.templating import Message, separate_examples
from tests.unit.tiny_chat_model import CONVERSATION


def test_every_answer_gets_its_prefix_and_learns_alone() -> None:
    first, second = separate_examples(CONVERSATION)
    assert first == CONVERSATION[:3]
    assert second == (*CONVERSATION[:2], Message("assistant", CONVERSATION[2].content), *CONVERSATION[3:])


def test_untrained_answers_give_no_example() -> None:
    untrained = [Message(message.role, message.content) for message in CONVERSATION]
    assert separate_examples(untrained) == []
    assert separate_examples([*untrained[:4], CONVERSATION[4]]) == [(*untrained[:4], CONVERSATION[4])]
