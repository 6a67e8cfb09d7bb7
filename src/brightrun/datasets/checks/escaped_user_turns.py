"""Client turns that hold the two characters backslash and n where a line break was meant."""

from __future__ import annotations

from brightrun.datasets.checks.escaped_newlines import EscapedNewlines
from brightrun.templating.messages import Role

NAME = "escaped_user_turns"
EXPLANATION = (
    "These client turns held a literal backslash-n instead of line breaks, so the model would read "
    "what no client types. "
    "They were repaired, each repair is in the ledger."
)
EXPLANATION_UNREPAIRED = (
    "These client turns hold a literal backslash-n instead of line breaks. Repair is off, so they stay as they are."
)
FIX = "Nothing to do; to be rid of it, mend the program that writes the file."


class EscapedUserTurns(EscapedNewlines):
    """Repairs client turns; nothing is quarantined for them."""

    name = NAME
    role: Role = "user"
    explanation, explanation_unrepaired, fix_text = EXPLANATION, EXPLANATION_UNREPAIRED, FIX
