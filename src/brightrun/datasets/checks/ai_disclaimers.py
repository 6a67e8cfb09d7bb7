"""Answers that speak as somebody else's assistant: "As an AI language model, I cannot …"."""

from __future__ import annotations

from brightrun.datasets.checks.text_check import ANSWERS, TextCheck
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import excerpt
from brightrun.texts.disclaimers import find_disclaimer, is_told_to_be_one

NAME = "ai_disclaimers"
EXPLANATION = (
    "These answers disclaim as a general assistant does, name another model or its maker as the speaker, or turn a "
    "request down in stock words. Another model probably wrote them, and this one learns to say the same."
)
FIX = "Write these answers in the voice the model shall have, or remove the conversations."


class AiDisclaimers(TextCheck):
    """A system prompt that makes the model an AI lets its answers say so."""

    name, explanation, fix = NAME, EXPLANATION, FIX
    roles = ANSWERS

    def __init__(self) -> None:
        super().__init__()
        self._is_told = False

    def inspect(self, conversation: Conversation) -> None:
        self._is_told = is_told_to_be_one(conversation.system or "")
        super().inspect(conversation)

    def describe(self, text: str) -> str | None:
        start = find_disclaimer(text, is_told=self._is_told)
        return None if start is None else excerpt(text[max(0, start - 20) :])
