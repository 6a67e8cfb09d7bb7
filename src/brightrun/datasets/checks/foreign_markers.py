"""Control strings of other model families: to this model they are prose, which it would learn to write."""

from __future__ import annotations

import re
from collections.abc import Collection

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.code_spans import without_code
from brightrun.datasets.findings import Finding, excerpt

NAME = "foreign_markers"
EXPLANATION = (
    "These texts contain control strings of another model's chat template, which this base model reads as ordinary "
    "text and would learn to write."
)
FIX = (
    "Take those at the ends off with --strip-markers, each in the repair log; remove the others from the texts, and "
    "give the messages without any template."
)

# ChatML, Llama 3, Phi and others (`<|…|>`), DeepSeek (full-width bars), Llama 2 and Mistral, Gemma, T5 and BERT, and
# the headings of Alpaca and Vicuna.
MARKER = re.compile(
    r"<\|[A-Za-z][A-Za-z0-9_ ]{1,40}\|>|<\uff5c[^<>\uff5c\n]{1,40}\uff5c>"
    r"|</?s>|\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<(?:start_of_turn|end_of_turn|bos|eos|pad|unk)>|\[(?:BOS|EOS|CLS|SEP|PAD|UNK)\]"
    r"|^### ?(?:Instruction|Response|Human|Assistant|User|System)s? ?:",
    re.MULTILINE,
)


class ForeignMarkers(TextCheck):
    """`own`: the control strings of the chosen base model, which another check refuses."""

    name, explanation, fix = NAME, EXPLANATION, FIX

    def __init__(self, own: Collection[str]) -> None:
        super().__init__()
        self._own = frozenset(own)
        self._at_edges = 0

    def describe(self, text: str) -> str | None:
        if "<" not in text and "[" not in text and "###" not in text:
            return None
        matches = [match for match in MARKER.finditer(without_code(text)) if match.group() not in self._own]
        if not matches:
            return None
        self._at_edges += not text[: matches[0].start()].strip() or not text[matches[-1].end() :].strip()
        return f"{matches[0].group()!r}: {excerpt(text, end=2 * matches[0].start() > len(text))}"

    def findings(self) -> list[Finding]:
        edges = f" In {self._at_edges} texts one stands at the very beginning or end, from where it can be stripped."
        return [
            finding.model_copy(update={"explanation": finding.explanation + edges}) for finding in super().findings()
        ]
