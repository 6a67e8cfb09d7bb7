"""Which validation answers base and tuned model are asked for. Knows no text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class AnswerPlace(NamedTuple):
    """One answer: of a conversation's trained ones the `number`th, from 1."""

    number: int
    conversation_id: str


def sampled_answers(trained_answers: Mapping[str, int], count: int) -> list[AnswerPlace]:
    """Up to `count` answers: the first one of every conversation, then the second ones, and so on; ids in order.

    Args:
        trained_answers: Trained answers by conversation id.
        count: How many are asked for, `Hyperparameters.sample_answers`.
    """
    return sorted(_places(trained_answers.items()))[:count]


def _places(counts: Iterable[tuple[str, int]]) -> Iterable[AnswerPlace]:
    for conversation_id, answers in counts:
        for number in range(1, answers + 1):
            yield AnswerPlace(number, conversation_id)
