"""Answers that hold the two characters backslash and n where a line break was meant."""

from __future__ import annotations

from dataclasses import replace

from brightrun.datasets.checks.line_breaks import decode_line_breaks
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.datasets.repair_log import Log, RepairLogEntry
from brightrun.templating.messages import Role

NAME = "escaped_newlines"
EXPLANATION = (
    "These answers held a literal backslash-n instead of line breaks; a model trained on them "
    "writes backslashes. "
    "They were repaired, each repair is in the ledger."
)
EXPLANATION_UNREPAIRED = (
    "These answers hold a literal backslash-n instead of line breaks; a model trained on them "
    "writes backslashes. "
    "Repair is off, so they are context only and not learnt."
)
FIX = "Nothing to do; to be rid of it, mend the program that writes the file. --no-repair quarantines them instead."

NAME_LEFT = "escaped_newlines_left"
EXPLANATION_LEFT = (
    "These turns hold a backslash-n that may be meant (a path, a formula, code) or stand beside "
    "real line breaks. "
    "They were left as they are."
)
FIX_LEFT = "Look at the examples, and where a line break was meant, put it into the file."


class EscapedNewlines:
    """Repairs answers, or quarantines them where repair is off."""

    name = NAME
    role: Role = "assistant"
    explanation, explanation_unrepaired, fix_text = EXPLANATION, EXPLANATION_UNREPAIRED, FIX

    def __init__(self, log: Log, *, repair: bool) -> None:
        self._log = log
        self._repair = repair
        self._found = Tally()
        self._left = Tally()

    def fix(self, conversation: Conversation) -> Conversation:
        if not any("\\n" in turn.content for turn in conversation.turns):
            return conversation
        return conversation.with_turns(tuple(self._repair_turn(conversation.id, turn) for turn in conversation.turns))

    def findings(self) -> list[Finding]:
        words = self.explanation if self._repair else self.explanation_unrepaired
        return [
            *self._found.finding(self.name, "warning", words, self.fix_text),
            *self._left.finding(NAME_LEFT, "warning", EXPLANATION_LEFT, FIX_LEFT),
        ]

    def _repair_turn(self, name: str, turn: Turn) -> Turn:
        if turn.role != self.role:
            return turn
        decoded = decode_line_breaks(turn.content)
        if decoded.left:
            self._left.add(excerpt(turn.content), conversation=name, turn=turn.number)
        if not decoded.replaced:
            return turn
        self._found.add(excerpt(turn.content), conversation=name, turn=turn.number)
        if not self._repair:
            return self._set_aside(name, turn)
        self._log(
            RepairLogEntry(
                kind="repair",
                check=self.name,
                reason="escaped line breaks became line breaks",
                conversation=name,
                turn=turn.number,
                replaced=decoded.replaced,
            )
        )
        return replace(turn, content=decoded.text, repaired=True)

    def _set_aside(self, name: str, turn: Turn) -> Turn:
        reason = "escaped line breaks, and repair is off"
        if not turn.trainable:
            return turn
        self._log(RepairLogEntry(kind="exclude", check=self.name, reason=reason, conversation=name, turn=turn.number))
        return replace(turn, excluded=reason)
