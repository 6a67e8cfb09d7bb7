"""Very short answers: they teach the model to say little."""

from __future__ import annotations

from functools import partial

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.texts.word_count import count_words

MIN_WORDS = 40
_LONG_IN_ANY_SCRIPT = 1000  # characters; not counted, which takes time
NAME = "short_answers"
EXPLANATION = f"These answers have fewer than {MIN_WORDS} words; many of them teach the model to answer briefly."
FIX = "Keep them if the consultant would answer so; otherwise write them out or remove the conversations."


class ShortAnswers:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        for turn in conversation.worded_answers:
            if not turn.trainable or len(turn.content) > _LONG_IN_ANY_SCRIPT:
                continue
            words = count_words(turn.content)
            if words < MIN_WORDS:
                self._found.add(partial(_detail, words, turn.content), conversation=conversation.id, turn=turn.number)

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "warning", EXPLANATION, FIX)


def _detail(words: int, text: str) -> str:
    return f"{words} words: {excerpt(text)}"
