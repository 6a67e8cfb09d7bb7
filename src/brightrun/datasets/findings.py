"""What a check reports: a count, its explanation and fix, and a few examples."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.datasets.sensitive_data import without_secrets

Severity = Literal["info", "warning", "error"]
EXAMPLES_SHOWN = 5
EXCERPT_CHARACTERS = 120
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # a terminal would obey some of them


class FindingExample(BaseModel):
    """One place where a check found something."""

    model_config = ConfigDict(frozen=True)

    conversation: str | None = Field(
        None, description="Id of the conversation, absent where it is about the whole file."
    )
    turn: int | None = Field(None, description="Number of the turn, from 1.")
    detail: str = Field(description="What was found there, in at most about 120 characters of the text.")


class Finding(BaseModel):
    """Everything one check found in a file."""

    model_config = ConfigDict(frozen=True)

    check: str
    severity: Severity
    count: int = Field(ge=0)
    explanation: str
    fix: str
    examples: list[FindingExample] = Field(default_factory=list)


class Tally:
    """A count with its first few examples, so that memory does not grow with the file."""

    def __init__(self, *, shown: int = EXAMPLES_SHOWN) -> None:
        self.count = 0
        self.examples: list[FindingExample] = []
        self._shown = shown

    def add(self, detail: str | Callable[[], str], *, conversation: str | None = None, turn: int | None = None) -> None:
        """Count one. A detail that takes time to write is given as a function, called for the first few only."""
        self.count += 1
        if len(self.examples) < self._shown:
            text = detail if isinstance(detail, str) else detail()
            self.examples.append(FindingExample(conversation=conversation, turn=turn, detail=text))

    def finding(self, check: str, severity: Severity, explanation: str, fix: str) -> list[Finding]:
        """One finding, or none where nothing was counted."""
        if not self.count:
            return []
        return [
            Finding(
                check=check,
                severity=severity,
                count=self.count,
                explanation=explanation,
                fix=fix,
                examples=self.examples,
            )
        ]


def excerpt(text: str, *, end: bool = False) -> str:
    """The beginning (or end) of a text on one line, for a report: secrets masked, control characters as U+FFFD."""
    line = _CONTROL.sub("\ufffd", " ".join(without_secrets(text).split()))
    if len(line) <= EXCERPT_CHARACTERS:
        return line
    return "…" + line[-EXCERPT_CHARACTERS:] if end else line[:EXCERPT_CHARACTERS] + "…"
