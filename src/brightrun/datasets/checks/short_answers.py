"""Very short answers: they teach the model to say little."""

from __future__ import annotations

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt

MIN_WORDS = 40
NAME = "short_answers"
EXPLANATION = f"These answers have fewer than {MIN_WORDS} words; many of them teach the model to answer briefly."
FIX = "Keep them if the consultant would answer so; otherwise write them out or remove the conversations."


class ShortAnswers:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        for turn in conversation.answers:
            words = len(turn.content.split())
            if turn.trainable and words < MIN_WORDS:
                self._found.add(
                    f"{words} words: {excerpt(turn.content)}", conversation=conversation.id, turn=turn.number
                )

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "warning", EXPLANATION, FIX)
