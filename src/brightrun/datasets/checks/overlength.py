"""Conversations longer than the maximum length. Never cut: the file is refused or they are dropped."""

from __future__ import annotations

from typing import Literal

from brightrun.datasets.findings import Finding, Tally
from brightrun.datasets.repair_log import Log, RepairLogEntry

NAME = "overlength"
EXPLANATION = {
    "refuse": (
        "These conversations are longer than max_seq_length ({limit} tokens). Nothing is cut, so the file is refused."
    ),
    "drop": (
        "These conversations are longer than max_seq_length ({limit} tokens) and were dropped; "
        "the repair log says what was lost."
    ),
}
FIX = (
    "Set max_seq_length to {longest}, which holds all of them, or overlength_policy=drop to leave them out, "
    "each in the repair log."
)
EXPLANATION_CONTEXT = (
    "These conversations are longer than what the base model can read ({limit} tokens). Nothing is cut, so the file is "
    "refused."
)
FIX_CONTEXT = (
    "Divide the conversations, choose a base model that reads {longest} tokens, or set overlength_policy=drop to leave "
    "them out, each in the repair log."
)
_NAMED = 200


class Overlength:
    """Decides about every conversation by its tokens."""

    def __init__(
        self, log: Log, *, limit: int | None, policy: Literal["refuse", "drop"], context_length: int | None = None
    ) -> None:
        """`limit`: the longest that was asked for; what the base model can read is a limit, too."""
        self._log = log
        limits = [each for each in (limit, context_length) if each is not None]
        self._limit = min(limits, default=None)
        self._context = context_length
        self._policy = policy
        self._long = Tally(shown=_NAMED)
        self._longest = 0

    @property
    def count(self) -> int:
        return self._long.count

    def is_dropped(self, name: str, *, tokens: int, trained_tokens: int, answers: int) -> bool:
        """Note a conversation's length; True where it is to be left out."""
        if self._limit is None or tokens <= self._limit:
            return False
        self._longest = max(self._longest, tokens)
        self._long.add(f"{tokens} tokens, the limit is {self._limit}", conversation=name)
        if self._policy == "refuse":
            return False
        self._log(
            RepairLogEntry(
                kind="drop",
                check=NAME,
                reason="longer than max_seq_length",
                conversation=name,
                tokens=tokens,
                limit=self._limit,
                answers_lost=answers,
                trained_tokens_lost=trained_tokens,
            )
        )
        return True

    def findings(self) -> list[Finding]:
        by_context = self._policy == "refuse" and self._limit == self._context
        explanation = EXPLANATION_CONTEXT if by_context else EXPLANATION[self._policy]
        beyond = self._context is not None and self._longest > self._context
        return self._long.finding(
            NAME,
            "error" if self._policy == "refuse" else "warning",
            explanation.format(limit=self._limit),
            (FIX_CONTEXT if beyond else FIX).format(longest=self._longest),
        )
