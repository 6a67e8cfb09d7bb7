"""The client's persona and background in the system prompt, so that the name an answer uses has a reason."""

from __future__ import annotations

from dataclasses import replace

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "client_profile"
EXPLANATION = "The client's persona and background were appended to the system prompt of these conversations."
FIX = (
    "Give the same kind of text in the system prompt when the model is used, or read the file with "
    "--client-profile keep."
)


class ClientProfile:
    """Appends profiles and counts them."""

    def __init__(self) -> None:
        self._added = Tally()

    def fix(self, conversation: Conversation) -> Conversation:
        profile = profile_text(conversation)
        if profile is None:
            return conversation
        self._added.add(conversation.client_persona or "background only", conversation=conversation.id)
        system = profile if conversation.system is None else f"{conversation.system}\n\n{profile}"
        return replace(conversation, system=system)

    def findings(self) -> list[Finding]:
        return self._added.finding(NAME, "info", EXPLANATION, FIX)


def profile_text(conversation: Conversation) -> str | None:
    """One paragraph on the client; None where the file tells nothing."""
    parts = []
    if conversation.client_persona:
        parts.append(f"The client: {conversation.client_persona}.")
    if conversation.client_background:
        parts.append(f"Background: {conversation.client_background}")
    return " ".join(parts) or None
