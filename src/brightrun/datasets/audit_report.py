"""The audit's result: what a file holds, what was done to it, and whether it can be trained on. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brightrun.datasets.checks.header_counts import HeaderCounts
from brightrun.datasets.findings import Finding
from brightrun.datasets.options import ReadOptions

# What another base model may take: its control strings are others, and its template has other places.
_OF_ONE_MODEL = frozenset({"control_tokens", "no_place_for_reasoning", "no_place_for_tools"})


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CrisisCounts(_Frozen):
    """Answers that point to a crisis line: in the file, and among those that are trained on."""

    before: int
    after: int


class CoverageStratum(_Frozen):
    """One cell of persona × emotional arc."""

    persona: str | None
    arc: str | None
    conversations: int


class LengthBin(_Frozen):
    """Conversations with `from_tokens` ≤ tokens < `to_tokens`."""

    from_tokens: int
    to_tokens: int
    conversations: int


class AuditReport(_Frozen):
    """Everything an audit found. Tokens are of what is trained on, after repair, exclude and drops."""

    format: str = Field(description="Detected from the content.")
    file_name: str
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="What the file's columns or keys were read as, where that was guessed or said.",
    )
    sha256: str = Field(description="sha256 of the file's bytes.")
    validation_file: str | None = Field(None, description="Name of the validation file, where one was given.")
    validation_file_sha256: str | None = None
    validation_file_conversations: int = Field(
        0, description="Conversations of that file that are kept for validation."
    )
    conversations: int
    turns: int = Field(description="Client turns and answers; unanswered last client turns included.")
    answers: int
    trainable: int = Field(description="Answers that are trained on.")
    trainable_conversations: int = Field(description="Conversations with at least one trained answer, none dropped.")
    independent_conversations: int = Field(
        0, description="Of those, how many can be divided between training and validation: near-duplicates count once."
    )
    repaired: int = Field(description="Answers that were repaired.")
    repaired_user_turns: int
    excluded: int = Field(
        description="Answers kept as context and not trained on, because they or their history are damaged."
    )
    dropped: int = Field(description="Conversations left out for their length.")
    tokens: int = Field(description="One sequence per conversation.")
    tokens_separate: int = Field(description="The same answers as separate examples, each with its whole history.")
    trained_tokens: int = Field(description="Tokens that carry loss: answers and their end-of-turn tokens.")
    longest_tokens: int
    overlength: int = Field(description="Conversations longer than max_seq_length.")
    max_seq_length: int | None
    tokenizer: str = Field(description="The chat model that counted.")
    template_sha256: str
    options: ReadOptions
    consultant: str | None = Field(None, description="Whose answers they are; absent where the file names nobody.")
    header: HeaderCounts | None = Field(description="The header's counts beside the body's; absent without a header.")
    personas: dict[str, int] = Field(description="Conversations by persona; those without one are not in it.")
    arcs: dict[str, int] = Field(description="Conversations by emotional arc; those without one are not in it.")
    coverage: list[CoverageStratum]
    crisis_answers: CrisisCounts
    lengths: list[LengthBin]
    findings: list[Finding]
    refused: bool = Field(description="Whether a finding is an error, so that nothing may be trained on this file.")


def depends_on_model(audit: Mapping[str, Any]) -> bool:
    """Whether a stored audit refuses the file for its base model alone: another template may take what it holds."""
    errors = {finding["check"] for finding in audit.get("findings", ()) if finding["severity"] == "error"}
    return bool(errors) and errors <= _OF_ONE_MODEL
