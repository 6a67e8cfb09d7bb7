"""Client turns that hold the two characters backslash and n where a line break was meant."""

from __future__ import annotations

from brightrun.chat.messages import Role
from brightrun.datasets.checks.escaped_newlines import EscapedNewlines

NAME = "escaped_client_turns"
EXPLANATION = (
    "These client turns held a literal backslash-n instead of line breaks, so the model would read "
    "what no client types. "
    "They were repaired, each repair is in the ledger."
)
EXPLANATION_UNREPAIRED = (
    "These client turns hold a literal backslash-n instead of line breaks. Repair is off, so they stay as they are."
)
MEND = "Nothing to do; to be rid of it, mend the program that writes the file."


class EscapedClientTurns(EscapedNewlines):
    """Repairs client turns; nothing is quarantined for them."""

    name = NAME
    role: Role = "user"
    explanation, explanation_unrepaired, mend_words = EXPLANATION, EXPLANATION_UNREPAIRED, MEND
