"""Review fields that are the same everywhere: one quality tier for all, and no answer read by a person."""

from __future__ import annotations

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "no_signal"
EXPLANATION = "These review fields are the same everywhere, so they tell good conversations from bad ones nowhere."
FIX = "Nothing to do. To have a signal, let people review answers and write what they find."
_TIERS_KEPT = 20


class NoSignal:
    def __init__(self) -> None:
        self._tiers: set[str] = set()
        self._tiered = 0
        self._labelled = 0
        self._reviewed = 0

    def inspect(self, conversation: Conversation) -> None:
        if conversation.quality_tier is not None:
            self._tiered += 1
            if len(self._tiers) < _TIERS_KEPT:
                self._tiers.add(conversation.quality_tier)
        self._labelled += len(conversation.labels)
        self._reviewed += sum(labels.human_reviewed for labels in conversation.labels)

    def findings(self) -> list[Finding]:
        empty = Tally()
        if self._tiered > 1 and len(self._tiers) == 1:
            empty.add(f"quality_tier is {next(iter(self._tiers))!r} for all {self._tiered} conversations")
        if self._labelled and not self._reviewed:
            empty.add(f"human_reviewed is false for all {self._labelled} answers")
        return empty.finding(NAME, "info", EXPLANATION, FIX)
