"""The alternative to one sequence per conversation: one example for every answer. Knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from brightrun.templating.messages import Message


def separate_examples(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """One prefix of the conversation per learnt answer; only the last message of each is learnt."""
    context = [replace(message, trained=False) for message in messages]
    return [(*context[:number], message) for number, message in enumerate(messages) if message.trained]
