"""Answers that point to a crisis line. They matter most, so they are counted before and after."""

from __future__ import annotations

from functools import partial

from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.texts.helplines import names_helpline

NAME = "crisis_answers"
EXPLANATION = "These answers point a person in crisis to a helpline, and they are not among those that are trained on."
FIX = "Bring them back: fix the answer in the file, or raise the maximum length. They are worth the care."


def is_crisis_answer(turn: Turn) -> bool:
    return turn.is_answer and names_helpline(turn.content)


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
