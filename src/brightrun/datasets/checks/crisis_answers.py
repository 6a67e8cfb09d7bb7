"""Answers that point to a crisis line. They matter most, so they are counted before and after."""

from __future__ import annotations

import re
from functools import partial

from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.datasets.letter_case import may_hold

NAME = "crisis_answers"
EXPLANATION = "These answers point a person in crisis to a helpline, and they are not among those that are trained on."
FIX = "Bring them back: fix the answer in the file, or raise the maximum length. They are worth the care."

_CRISIS = re.compile(
    r"(?<![\d$€£.,-])988(?![\d%]|[.,-]\d| "
    r"dollars)|\b(?:suicide|crisis)\b[^.\n]{0,30}\b(?:life|hot|help)?line\b|"
    r"\bcrisis text line\b|\bsamaritans\b|\blifeline\.org\b",
    re.IGNORECASE,
)
_WORDS = ("988", "crisis", "suicide", "samaritans", "lifeline")  # one of them stands wherever it matches


def is_crisis_answer(turn: Turn) -> bool:
    return turn.is_answer and may_hold(turn.content, _WORDS) and _CRISIS.search(turn.content) is not None


class CrisisAnswers:
    """`before` counts all of them, `after` those trained on; the audit tells which conversations it keeps."""

    def __init__(self) -> None:
        self.before = 0
        self.after = 0
        self._lost = Tally()

    def inspect(self, conversation: Conversation, *, kept: bool) -> None:
        for turn in filter(is_crisis_answer, conversation.turns):
            self.before += 1
            if kept and turn.trainable:
                self.after += 1
            else:
                self._lost.add(partial(excerpt, turn.content), conversation=conversation.id, turn=turn.number)

    def findings(self) -> list[Finding]:
        return self._lost.finding(NAME, "warning", EXPLANATION, FIX)
