"""Control strings at the ends of texts, and reasoning in tags before answers, taken off where that was asked for."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from brightrun.datasets.blank_text import is_blank_text
from brightrun.datasets.checks.foreign_markers import MARKER
from brightrun.datasets.checks.reasoning_tags import own_tags
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.datasets.repair_log import Log, RepairLogEntry

NAME = "stripped_markers"
EXPLANATION = (
    "Control strings at the beginning or end of these texts, or reasoning in tags before these answers, were taken "
    "off. Each is in the repair log."
)
FIX = "Nothing to do; to be rid of it, give the messages without any template."

_REASONING = re.compile(r"\s*<(think|thinking|thought|reasoning|scratchpad)>.*?</\1>\s*", re.IGNORECASE | re.DOTALL)


class StrippedMarkers:
    """Strips where that was chosen. `own`: the base model's control strings, which are taken off the ends, too."""

    def __init__(self, log: Log, *, strips: bool, own: Collection[str], template: str) -> None:
        self._log = log
        self._strips = strips
        self._found = Tally()
        own_pattern = "|".join(map(re.escape, sorted(filter(None, own), key=len, reverse=True)))
        marker = f"(?:{MARKER.pattern}|{own_pattern})" if own_pattern else f"(?:{MARKER.pattern})"
        self._begins = re.compile(rf"(?:\s*{marker})+\s*", re.MULTILINE)
        self._ends = re.compile(rf"(?:\s*{marker})+\s*\Z", re.MULTILINE)
        self._own_tags = own_tags(template)

    def fix(self, conversation: Conversation) -> Conversation:
        if not self._strips:
            return conversation
        turns = tuple(self._stripped(conversation.id, turn) for turn in conversation.turns)
        system = conversation.system
        if system is not None and (shorter := self._without(system, is_answer=False)) != system:
            self._tell(conversation.id, None, system)
            conversation = replace(conversation, system=shorter)
        return conversation.with_turns(turns)

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "warning", EXPLANATION, FIX)

    def _stripped(self, name: str, turn: Turn) -> Turn:
        text = self._without(turn.content, is_answer=turn.is_answer)
        if text == turn.content:
            return turn
        self._tell(name, turn.number, turn.content)
        return replace(turn, content=text, repaired=True)

    def _without(self, text: str, *, is_answer: bool) -> str:
        """The text without what is taken off; the text itself where nothing would be left."""
        if "<" not in text and "[" not in text and "###" not in text:
            return text
        shorter = text
        if match := self._begins.match(shorter):
            shorter = shorter[match.end() :]
        if match := self._ends.search(shorter):
            shorter = shorter[: match.start()]
        if is_answer and (match := _REASONING.match(shorter)) and match.group(1).lower() not in self._own_tags:
            shorter = shorter[match.end() :]
        return text if is_blank_text(shorter) else shorter

    def _tell(self, name: str, turn: int | None, text: str) -> None:
        self._found.add(excerpt(text), conversation=name, turn=turn)
        reason = "control strings or reasoning at the ends were taken off"
        self._log(RepairLogEntry(kind="repair", check=NAME, reason=reason, conversation=name, turn=turn))
