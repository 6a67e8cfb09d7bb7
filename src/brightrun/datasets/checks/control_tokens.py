"""Texts that contain a control string of the model, such as an end-of-turn marker; it would be obeyed."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "control_tokens"
EXPLANATION = (
    "These texts contain a control string of the base model, which would end a turn or open another "
    "in the middle of "
    "a message. The file is refused for this model."
)
FIX = "Remove the control string from the text; at the ends of texts, --strip-markers takes it off."


class ControlTokenCheck:
    def __init__(self, special_tokens: Collection[str]) -> None:
        self._pattern = _any_of(frozenset(special_tokens))
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        self.contains(conversation)

    def contains(self, conversation: Conversation) -> bool:
        """Count what is found, and tell whether anything was."""
        if self._pattern is None:
            return False
        texts = [
            (None, conversation.system or ""),
            *((None, tool) for tool in conversation.tools),
            *((turn.number, turn.content) for turn in conversation.turns),
        ]
        if conversation.has_more_than_text:
            texts += [(turn.number, text) for turn in conversation.turns for text in turn.message().texts()[1:]]
        before = self._found.count
        for number, text in texts:
            if match := self._pattern.search(text):
                where = " in the system prompt" if number is None else ""
                self._found.add(f"{match.group()!r}{where}", conversation=conversation.id, turn=number)
        return self._found.count > before

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "error", EXPLANATION, FIX)


@lru_cache(maxsize=8)
def _any_of(texts: frozenset[str]) -> re.Pattern[str] | None:
    longest_first = sorted(filter(None, texts), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
