"""Client turns that end in a backslash: what the later answers reply to is no longer all there."""

from __future__ import annotations

from brightrun.datasets.checks.truncated_answers import TruncatedAnswers
from brightrun.templating.messages import Role

NAME = "truncated_user_turns"
EXPLANATION = (
    "These client turns end in a backslash: they were cut in the middle. Every later answer of "
    "their conversation, whose "
    "history contains the cut, is quarantined: not learnt."
)
FIX = "Nothing to do; to use them, export the conversations again from their source."


class TruncatedUserTurns(TruncatedAnswers):
    """Quarantines the answers behind a cut client turn."""

    name = NAME
    role: Role = "user"
    explanation, fix_text = EXPLANATION, FIX
    whose = "client turn"
