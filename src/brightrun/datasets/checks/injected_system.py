"""A system prompt that the base model's chat template writes where the file has none."""

from __future__ import annotations

from functools import partial

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt

NAME = "injected_system"
EXPLANATION = (
    "These conversations have no system prompt, and the base model's chat template writes one of its own before them: "
    "{text}. The model is trained on answers under it, and expects it later."
)
FIX = (
    "Give the conversations a system prompt of their own, or use the adapter without one, as it was trained: the "
    "template then writes the same."
)


class InjectedSystem:
    """`text`: what the template writes; None where it writes nothing."""

    def __init__(self, text: str | None) -> None:
        self._text = text
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        if self._text is not None and conversation.system is None:
            opening = conversation.turns[0].content if conversation.turns else ""
            self._found.add(partial(excerpt, opening), conversation=conversation.id)

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "info", EXPLANATION.format(text=excerpt(self._text or "")), FIX)
