"""What is kept of a conversation's encoding: how long it is and where its answers stand. The tokens are not needed."""

from __future__ import annotations

from typing import NamedTuple

from brightrun.templating.chat_model import EncodedConversation


class EncodedLengths(NamedTuple):
    """`answer_spans`: half-open token ranges of the trained answers, in order, end-of-turn token included."""

    tokens: int
    answer_spans: tuple[tuple[int, int], ...]

    @property
    def trained_tokens(self) -> int:
        return sum(end - start for start, end in self.answer_spans)


def lengths_of(encoded: EncodedConversation) -> EncodedLengths:
    return EncodedLengths(len(encoded.input_ids), tuple(encoded.answer_spans))
