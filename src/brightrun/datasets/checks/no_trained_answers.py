"""Conversations, or a whole file, of which no answer is left to learn."""

from __future__ import annotations

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally
from brightrun.datasets.repair_log import Log, RepairLogEntry

NAME = "no_trained_answers"
EXPLANATION = "No answer of these conversations is trained on, so they are neither trained on nor kept for validation."
EXPLANATION_ALL = (
    "No answer of this file is trained on: all are excluded, dropped or kept from training by the file itself."
)
FIX = "Fix the answers in the file, or export the conversations again."


class NoTrainedAnswers:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._found = Tally()
        self._whole_file = Tally()

    def is_untrainable(self, conversation: Conversation) -> bool:
        """Whether nothing of it is trained on; then it goes into the repair log."""
        if conversation.trainable_answers:
            return False
        reason = "all its answers are excluded or not offered for training"
        self._found.add(reason, conversation=conversation.id)
        self._log(RepairLogEntry(kind="left_out", check=NAME, reason=reason, conversation=conversation.id))
        return True

    def conclude(self, *, trainable: int, answers: int) -> None:
        """Call once, at the end, with the counts of the file."""
        if not trainable:
            self._whole_file.add(f"0 of {answers} answers can be trained on")

    def findings(self) -> list[Finding]:
        return [
            *self._whole_file.finding(NAME, "error", EXPLANATION_ALL, FIX),
            *self._found.finding(NAME, "warning", EXPLANATION, FIX),
        ]
