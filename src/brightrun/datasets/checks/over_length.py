"""Conversations longer than the maximum length. Never cut: the file is refused or they are dropped."""

from __future__ import annotations

from typing import Literal

from brightrun.datasets.findings import Finding, Tally
from brightrun.datasets.ledger import LedgerEntry, Log

NAME = "over_length"
EXPLANATION = {
    "refuse": (
        "These conversations are longer than max_seq_length ({limit} tokens). Nothing is cut, so the file is refused."
    ),
    "drop": (
        "These conversations are longer than max_seq_length ({limit} tokens) and were dropped; "
        "the ledger says what was lost."
    ),
}
MEND = (
    "Set max_seq_length to {longest}, which holds all of them, or over_length=drop to leave them out, "
    "each in the ledger."
)
_NAMED = 200


class OverLength:
    """Decides about every conversation by its tokens."""

    def __init__(self, log: Log, *, limit: int | None, policy: Literal["refuse", "drop"]) -> None:
        self._log = log
        self._limit = limit
        self._policy = policy
        self._long = Tally(shown=_NAMED)
        self._longest = 0

    @property
    def count(self) -> int:
        return self._long.count

    def is_dropped(self, name: str, *, tokens: int, learnt_tokens: int, answers: int) -> bool:
        """Note a conversation's length; True where it is to be left out."""
        if self._limit is None or tokens <= self._limit:
            return False
        self._longest = max(self._longest, tokens)
        self._long.add(f"{tokens} tokens, the limit is {self._limit}", conversation=name)
        if self._policy == "refuse":
            return False
        self._log(
            LedgerEntry(
                kind="drop",
                check=NAME,
                reason="longer than max_seq_length",
                conversation=name,
                tokens=tokens,
                limit=self._limit,
                answers_lost=answers,
                learnt_tokens_lost=learnt_tokens,
            )
        )
        return True

    def findings(self) -> list[Finding]:
        return self._long.finding(
            NAME,
            "error" if self._policy == "refuse" else "warning",
            EXPLANATION[self._policy].format(limit=self._limit),
            MEND.format(longest=self._longest),
        )
