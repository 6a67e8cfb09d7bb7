"""Which validation answers base and tuned model are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from brightrun.contract.hyperparameters import DeviceKind

PROMPTS_AT_ONCE: dict[DeviceKind, int] = {"cpu": 4, "cuda": 8}
"""Prompts that are answered in one batch."""
FIRST_LOOK_TOKENS = 24
"""How much of an answer is asked for to see whether a training answer is being repeated."""
WHOLE_LOOK_TOKENS = 128
"""How much is asked for where it is: enough for 50 words in a row."""


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
