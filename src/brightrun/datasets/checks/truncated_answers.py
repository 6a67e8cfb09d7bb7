"""Answers that end in a backslash: the rest was cut off in the middle of an escape and is lost."""

from __future__ import annotations

from dataclasses import replace

from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.datasets.repair_log import Log, RepairLogEntry
from brightrun.templating.messages import Role

NAME = "truncated_answers"
EXPLANATION = (
    "These answers end in a backslash: they were cut in the middle. They and every later answer of "
    "their conversation, "
    "whose history contains the cut, are quarantined: not learnt."
)
FIX = "Nothing to do; to use them, export the conversations again from their source."


def is_truncated(text: str) -> bool:
    """Whether a text certainly lost its end."""
    return text.rstrip().endswith("\\")


class TruncatedAnswers:
    """Quarantines from the first cut turn of its role on."""

    name = NAME
    role: Role = "assistant"
    explanation, fix_text = EXPLANATION, FIX
    whose = "answer"

    def __init__(self, log: Log) -> None:
        self._log = log
        self._cut = Tally()

    def fix(self, conversation: Conversation) -> Conversation:
        cut = [turn for turn in conversation.turns if turn.role == self.role and is_truncated(turn.content)]
        for turn in cut:
            self._cut.add(excerpt(turn.content, end=True), conversation=conversation.id, turn=turn.number)
        if not cut:
            return conversation
        first = cut[0].number
        return conversation.with_turns(
            tuple(self._set_aside(conversation.id, turn, first) for turn in conversation.turns)
        )

    def findings(self) -> list[Finding]:
        return self._cut.finding(self.name, "warning", self.explanation, self.fix_text)

    def _set_aside(self, name: str, turn: Turn, first: int) -> Turn:
        if turn.number < first or not turn.trainable:
            return turn
        reason = (
            "ends in a backslash"
            if turn.number == first
            else f"its history contains the cut {self.whose} of turn {first}"
        )
        self._log(RepairLogEntry(kind="exclude", check=self.name, reason=reason, conversation=name, turn=turn.number))
        return replace(turn, excluded=reason)
