"""One question with different answers: the same system prompt, the same first user turn."""

from __future__ import annotations

from brightrun.datasets.comparable_text import comparable, digest64
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.datasets.hash_table import HashTable
from brightrun.texts.word_count import count_words

NAME = "conflicting_answers"
EXPLANATION = (
    "These questions, apart from case, blanks and punctuation, open several conversations with the same system prompt "
    "and are answered differently. The model learns something in between. They also blur validation: of a question "
    "that is trained on with one answer and kept for validation with another, the validation loss says little."
)
FIX = "Keep the best answer of each question. Where several are meant, as in talk that varies, keep them all."

_MIN_WORDS = 3  # `Hello!` opens conversations of all kinds
_FEW = 2  # questions
_LOW_HALF = 0xFFFF_FFFF


class ConflictingAnswers:
    """Counts questions, with 16 bytes of memory for each: its hash, and of its first answer half a hash and where."""

    def __init__(self) -> None:
        self._found = Tally()
        self._seen = HashTable()
        self._conflicts: set[int] = set()
        self._number = 0
        self._has_a_third = False

    def inspect(self, conversation: Conversation) -> None:
        self._number += 1
        if len(conversation.turns) < 2 or not conversation.turns[1].trainable:
            return
        asked, answer = conversation.turns[0], conversation.turns[1]
        question = comparable(asked.content)
        if asked.is_answer or not answer.content or count_words(question) < _MIN_WORDS:
            return
        key = digest64(question, " ".join((conversation.system or "").split()))
        answered = digest64(" ".join(answer.content.casefold().split())) & _LOW_HALF
        before = self._seen.get(key)
        if before is None:
            self._seen.put(key, answered << 32 | self._number & _LOW_HALF)
        elif before >> 32 != answered:
            self._count(key, conversation, before & _LOW_HALF)

    def findings(self) -> list[Finding]:
        few = self._found.count <= _FEW and not self._has_a_third
        return self._found.finding(NAME, "info" if few else "warning", EXPLANATION, FIX)

    def _count(self, key: int, conversation: Conversation, other: int) -> None:
        self._has_a_third = self._has_a_third or key in self._conflicts
        if key not in self._conflicts:
            self._conflicts.add(key)
            asked = excerpt(conversation.turns[0].content)
            self._found.add(
                f"number {other} of the file answers it differently: {asked}", conversation=conversation.id, turn=1
            )
