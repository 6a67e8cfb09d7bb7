"""Turns that begin with the name of their role, as in `Assistant: Good morning`: the model would write it, too."""

from __future__ import annotations

import re

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.findings import excerpt
from brightrun.templating.messages import Role

NAME = "role_labels"
EXPLANATION = (
    "These turns begin with a label such as `Assistant:`. The chat template writes the role itself, so the model "
    "learns to open its answers with a second one."
)
FIX = "Remove the labels at the beginning of the turns."

_LABEL = re.compile(
    r"\s*[*_#\s]{0,4}(?:assistant|user|human|ai|bot|chatbot|gpt|chatgpt)[*_]{0,2} ?[:\uff1a]", re.IGNORECASE
)


class RoleLabels(TextCheck):
    name, explanation, fix = NAME, EXPLANATION, FIX
    roles = frozenset[Role]({"user", "assistant"})

    def describe(self, text: str) -> str | None:
        return excerpt(text) if _LABEL.match(text) else None
