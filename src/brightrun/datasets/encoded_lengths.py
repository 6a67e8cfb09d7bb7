"""What is kept of a conversation's encoding: how long it is and where its answers stand. The tokens are not needed."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from brightrun.templating.chat_model import EncodedConversation


class EncodedLengths(NamedTuple):
    """`answer_spans`: half-open token ranges of the trained answers, in order, end-of-turn token included.

    `sequence_starts`: where each of the conversation's sequences begins; mostly there is one.
    """

    tokens: int
    answer_spans: tuple[tuple[int, int], ...]
    sequence_starts: tuple[int, ...] = (0,)

    @property
    def trained_tokens(self) -> int:
        return sum(end - start for start, end in self.answer_spans)

    @property
    def longest_sequence(self) -> int:
        return max(end - start for start, end in pairwise((*self.sequence_starts, self.tokens)))


def lengths_of(encoded: EncodedConversation) -> EncodedLengths:
    return EncodedLengths(len(encoded.input_ids), tuple(encoded.answer_spans), encoded.sequence_starts)
