"""Reasoning inside answers, in tags that the base model's template has no place for."""

from __future__ import annotations

import re

from brightrun.datasets.checks.text_check import ANSWERS, TextCheck
from brightrun.datasets.code_spans import without_code
from brightrun.datasets.findings import excerpt

NAME = "reasoning_tags"
EXPLANATION = (
    "These answers hold reasoning in tags such as `<think>`, and the base model's chat template has no place for it: "
    "the model learns to show its reasoning, tags and all, to whoever asks."
)
FIX = (
    "Take the reasoning off with --strip-markers, each in the repair log, or choose a base model that reasons in these "
    "tags."
)

_OPENING = re.compile(r"\s*<(think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_CLOSING = re.compile(r"</(think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)


def own_tags(template: str) -> set[str]:
    """The tags of reasoning that a chat template has a place for."""
    return {"think"} if "<think>" in template or "reasoning_content" in template else set()


class ReasoningTags(TextCheck):
    """`template`: the base model's chat template, which is looked through for a place for `<think>`."""

    name, explanation, fix = NAME, EXPLANATION, FIX
    roles = ANSWERS

    def __init__(self, template: str) -> None:
        super().__init__()
        self._own = own_tags(template)

    def describe(self, text: str) -> str | None:
        if "<" not in text:
            return None
        prose = without_code(text)
        match = _OPENING.match(prose) or _CLOSING.search(prose)
        return None if match is None or match.group(1).lower() in self._own else excerpt(text)
