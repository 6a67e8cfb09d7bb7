"""Answers that say the question again and nothing else."""

from __future__ import annotations

from brightrun.datasets.comparable_text import comparable
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.texts.word_count import count_words

NAME = "echoed_questions"
EXPLANATION = (
    "These answers are the user's turn before them, word for word: a column of the source was probably taken twice. "
    "They teach the model to repeat what it is told."
)
FIX = "Check which columns became question and answer; remove these conversations or give them their answers."
_MIN_WORDS = 4  # `Good night!` may well be answered with the same


class EchoedQuestions:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        question = ""
        for turn in conversation.turns:
            if not turn.is_answer:
                question = turn.content
            elif turn.trainable and is_echo(question, turn.content):
                self._found.add(excerpt(turn.content), conversation=conversation.id, turn=turn.number)

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "warning", EXPLANATION, FIX)


def is_echo(question: str, answer: str) -> bool:
    """Whether both have the same words in the same order, and enough of them."""
    if abs(len(question) - len(answer)) > 10 + len(answer) // 5:
        return False  # cheaper than comparing, and blanks and marks are hardly ever more
    said = comparable(answer)
    return said == comparable(question) and count_words(said) >= _MIN_WORDS
