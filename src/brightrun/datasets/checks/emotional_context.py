"""The emotional context of an answer mostly describes the consultant, so it is not the client's emotion."""

from __future__ import annotations

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "emotional_context"
EXPLANATION = (
    "The `emotional_context` of these answers names another emotion than the client's own turn: it "
    "describes the "
    "consultant. It is not used as the client's emotion."
)
FIX = "Nothing to do. Take the client's emotion from the client's turn in the history."


class EmotionalContext:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        for labels in conversation.labels:
            if labels.client_emotion and labels.context_emotion and labels.client_emotion != labels.context_emotion:
                self._found.add(
                    f"client: {labels.client_emotion}; context: {labels.context_emotion}",
                    conversation=conversation.id,
                    turn=labels.turn,
                )

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "info", EXPLANATION, FIX)
