"""The sums of an audit, taken conversation by conversation. Knows counts and lengths, no checks."""

from __future__ import annotations

from collections import Counter

from brightrun.datasets.audit_report import CoverageStratum, LengthBin
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.encoded_lengths import EncodedLengths

FINEST_BIN_TOKENS = 16
MAX_BINS = 30


class Totals:
    """`counts` has the names of the report's fields; the rest is asked for at the end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.longest_tokens = 0
        self._cells: Counter[tuple[str | None, str | None]] = Counter()
        self._bins: Counter[int] = Counter()

    def add(self, conversation: Conversation) -> None:
        """Count a conversation of the file, after repairing."""
        answers = conversation.answers
        clients = [turn for turn in conversation.turns if not turn.is_answer]
        self.counts["conversations"] += 1
        self.counts["turns"] += len(conversation.turns)
        self.counts["answers"] += len(answers)
        self.counts["repaired"] += sum(turn.repaired for turn in answers)
        self.counts["repaired_user_turns"] += sum(turn.repaired for turn in clients)
        self.counts["excluded"] += sum(turn.excluded is not None for turn in answers)
        self._cells[conversation.persona, conversation.arc] += 1

    def add_encoded(self, encoded: EncodedLengths) -> None:
        """Count a conversation that is trained on or kept for validation.

        As a separate example, an answer is everything from the beginning of its sequence up to its end.
        """
        tokens = encoded.tokens
        self.longest_tokens = max(self.longest_tokens, encoded.longest_sequence)
        self._bins[tokens // FINEST_BIN_TOKENS] += 1
        self.counts["trainable_conversations"] += 1
        self.counts["trainable"] += len(encoded.answer_spans)
        self.counts["tokens"] += tokens
        self.counts["trained_tokens"] += encoded.trained_tokens
        self.counts["tokens_separate"] += sum(
            end - max(begin for begin in encoded.sequence_starts if begin <= start)
            for start, end in encoded.answer_spans
        )

    def personas(self) -> dict[str, int]:
        return self._by(0)

    def arcs(self) -> dict[str, int]:
        return self._by(1)

    def coverage(self) -> list[CoverageStratum]:
        rows = sorted(self._cells.items(), key=lambda row: (row[0][0] or "", row[0][1] or ""))
        return [CoverageStratum(persona=cell[0], arc=cell[1], conversations=count) for cell, count in rows]

    def lengths(self) -> list[LengthBin]:
        """Every bin from the first to the last that is not empty, as wide as it takes to have at most 30."""
        if not self._bins:
            return []
        first, last, finest_in_one = min(self._bins), max(self._bins), 1
        while last // finest_in_one - first // finest_in_one >= MAX_BINS:
            finest_in_one *= 2
        width = FINEST_BIN_TOKENS * finest_in_one
        counts: Counter[int] = Counter()
        for number, conversations in self._bins.items():
            counts[number // finest_in_one] += conversations
        return [
            LengthBin(from_tokens=number * width, to_tokens=(number + 1) * width, conversations=counts[number])
            for number in range(min(counts), max(counts) + 1)
        ]

    def _by(self, index: int) -> dict[str, int]:
        totals: Counter[str] = Counter()
        for cell, count in self._cells.items():
            name = cell[index]
            if name is not None:
                totals[name] += count
        return dict(sorted(totals.items()))
