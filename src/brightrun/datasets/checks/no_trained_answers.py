"""Conversations, or a whole file, of which no answer is left to learn."""

from __future__ import annotations

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally
from brightrun.datasets.repair_log import Log, RepairLogEntry

NAME = "no_trained_answers"
EXPLANATION = "No answer of these conversations is learnt, so they are neither trained on nor held out."
EXPLANATION_ALL = (
    "No answer of this file is learnt: all are quarantined, dropped or kept from training by the file itself."
)
FIX = "Mend the answers in the file, or export the conversations again."


class NoTrainedAnswers:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._found = Tally()
        self._whole_file = Tally()

    def is_untrainable(self, conversation: Conversation) -> bool:
        """Whether nothing of it is learnt; then it goes into the ledger."""
        if conversation.trainable_answers:
            return False
        reason = "all its answers are quarantined or not offered for training"
        self._found.add(reason, conversation=conversation.id)
        self._log(RepairLogEntry(kind="left_out", check=NAME, reason=reason, conversation=conversation.id))
        return True

    def conclude(self, *, trainable: int, answers: int) -> None:
        """Call once, at the end, with the counts of the file."""
        if not trainable:
            self._whole_file.add(f"0 of {answers} answers can be learnt")

    def findings(self) -> list[Finding]:
        return [
            *self._whole_file.finding(NAME, "error", EXPLANATION_ALL, FIX),
            *self._found.finding(NAME, "warning", EXPLANATION, FIX),
        ]
