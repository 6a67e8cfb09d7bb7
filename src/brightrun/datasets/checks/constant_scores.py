"""Scores that are the same on every answer say nothing; they must not be taken for quality or filtered by."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "constant_scores"
EXPLANATION = (
    "These scores hardly differ between answers, so they carry no signal: a filter by them keeps "
    "everything or deletes "
    "everything. They are not used and not shown as quality."
)
FIX = "Nothing to do. Do not filter by them; have people read the answers instead."
_NOISE = 0.5  # sub-scores in real files are a constant plus or minus this


@dataclass(slots=True)
class _Range:
    lowest: float = float("inf")
    highest: float = float("-inf")
    count: int = 0

    def add(self, value: float) -> None:
        self.lowest, self.highest, self.count = (
            min(self.lowest, value),
            max(self.highest, value),
            self.count + 1,
        )


class ConstantScores:
    def __init__(self) -> None:
        self._ranges = {"quality_score": _Range(), "quality_criteria": _Range(), "confidences": _Range()}

    def inspect(self, conversation: Conversation) -> None:
        for labels in conversation.labels:
            if labels.quality_score is not None:
                self._ranges["quality_score"].add(labels.quality_score)
            for score in labels.sub_scores:
                self._ranges["quality_criteria"].add(score)
            for confidence in labels.confidences:
                self._ranges["confidences"].add(confidence)

    def findings(self) -> list[Finding]:
        constant = Tally()
        for name, seen in self._ranges.items():
            noise = _NOISE if name == "quality_criteria" else 0.1
            if seen.count > 1 and seen.highest - seen.lowest <= 2 * noise:
                constant.add(f"{name}: {seen.lowest:g} to {seen.highest:g} in all {seen.count} places")
        return constant.finding(NAME, "info", EXPLANATION, FIX)
