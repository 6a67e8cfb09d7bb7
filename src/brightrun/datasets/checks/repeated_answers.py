"""One answer given in many conversations, whatever was asked."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.datasets.comparable_text import digest64
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding, Tally, excerpt

NAME = "repeated_answers"
EXPLANATION = (
    "These answers stand word for word in many conversations, behind different questions. The model learns to give "
    "them whatever it is asked."
)
FIX = "Keep an answer that is meant for many questions; otherwise vary it, or remove most of the conversations."

_MIN_CONVERSATIONS = 3
_OPENING_CHARACTERS = 400
_MIN_SHARE = 0.05
_WARNING_SHARE = 0.2
_WIDTH = 5_000


@dataclass(slots=True)
class _Candidate:
    opening: str
    conversation: str
    turn: int
    missed: int  # how often at most it may have come before it was remembered
    conversations: int
    questions: set[int]  # hashes of the first three


class RepeatedAnswers:
    """Memory does not grow with the file: answers that came rarely are forgotten.

    Lossy counting (Manku and Motwani, "Approximate frequency counts over data streams", VLDB 2002): at every 5,000th
    answer, those are forgotten that cannot have come more often than the number of such times. A count is never too
    high, at most a 5,000th of all answers too low, and exact in files of up to 5,000 answers.
    """

    def __init__(self) -> None:
        self._once: dict[int, int] = {}  # hashes of answers seen in one conversation only, and of their questions
        self._candidates: dict[int, _Candidate] = {}
        self._answers = 0

    def inspect(self, conversation: Conversation) -> None:
        counted: set[int] = set()
        question = ""
        for turn in conversation.turns:
            if not turn.is_answer:
                question = turn.content
            elif turn.trainable and turn.content:
                key = digest64(turn.content.strip())
                if key not in counted:
                    counted.add(key)
                    self._count(key, digest64(question), turn, conversation.id)
                self._count_answer()

    def findings(self) -> list[Finding]:
        often = [one for one in self._candidates.values() if self._is_often(one)]
        often.sort(key=lambda one: -one.conversations)
        found = Tally()
        for one in often:
            detail = f"in {one.conversations} conversations: {excerpt(one.opening)}"
            found.add(detail, conversation=one.conversation, turn=one.turn)
        warns = any(one.conversations >= _WARNING_SHARE * self._answers for one in often)
        return found.finding(NAME, "warning" if warns else "info", EXPLANATION, FIX)

    def _count(self, key: int, question: int, turn: Turn, conversation: str) -> None:
        if (found := self._candidates.get(key)) is not None:
            found.conversations += 1
            if len(found.questions) < _MIN_CONVERSATIONS:
                found.questions.add(question)
        elif (first := self._once.pop(key, None)) is None:
            self._once[key] = question
        else:
            missed = self._answers // _WIDTH
            opening = turn.content.strip()[:_OPENING_CHARACTERS]
            self._candidates[key] = _Candidate(opening, conversation, turn.number, missed, 2, {first, question})

    def _is_often(self, one: _Candidate) -> bool:
        enough = one.conversations >= max(_MIN_CONVERSATIONS, _MIN_SHARE * self._answers)
        return enough and len(one.questions) >= _MIN_CONVERSATIONS  # copies of conversations are told elsewhere

    def _count_answer(self) -> None:
        self._answers += 1
        if self._answers % _WIDTH == 0:
            times = self._answers // _WIDTH
            self._once = {}
            self._candidates = {
                key: one for key, one in self._candidates.items() if one.conversations + one.missed > times
            }
