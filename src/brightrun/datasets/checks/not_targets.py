"""Answers that the file itself keeps from training (`weight: 0`, or present in histories only)."""

from __future__ import annotations

from functools import partial

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt

NAME = "not_targets"
EXPLANATION = "The file does not offer these answers for training. They stay as context and are not trained on."
FIX = "Nothing to do, if that is what is meant."


class NotTargets:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        for turn in conversation.answers:
            if not turn.target:
                self._found.add(partial(excerpt, turn.content), conversation=conversation.id, turn=turn.number)

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "info", EXPLANATION, FIX)
