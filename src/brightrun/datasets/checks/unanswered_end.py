"""Conversations that end on a client turn without an answer; that turn trains nothing and is left out."""

from __future__ import annotations

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "unanswered_end"
EXPLANATION = "These conversations end on a client turn without an answer. The turn teaches nothing and is left out."
FIX = "Nothing to do."


class UnansweredEnd:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        if conversation.ends_unanswered:
            self._found.add("the client's last turn", conversation=conversation.id, turn=len(conversation.turns))

    def learn_of(self, count: int) -> None:
        """The header counts client turns that a JSONL, which has lines for answers only, does not hold."""
        for _ in range(count):
            self._found.add("known from the header's count only: a JSONL holds no client turn without an answer")

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "info", EXPLANATION, FIX)
