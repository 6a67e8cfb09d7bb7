"""Client turns that end in a backslash: what the later answers reply to is no longer all there."""

from __future__ import annotations

from brightrun.chat.messages import Role
from brightrun.datasets.checks.cut_answers import CutAnswers

NAME = "cut_client_turns"
EXPLANATION = (
    "These client turns end in a backslash: they were cut in the middle. Every later answer of "
    "their conversation, whose "
    "history contains the cut, is quarantined: not learnt."
)
MEND = "Nothing to do; to use them, export the conversations again from their source."


class CutClientTurns(CutAnswers):
    """Quarantines the answers behind a cut client turn."""

    name = NAME
    role: Role = "user"
    explanation, mend_words = EXPLANATION, MEND
    whose = "client turn"
