"""The conversations of a file in which something was found, each with the reasons, in a form that can be repaired and
given back: a line is also a conversation in OpenAI's chat format.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.datasets.checks import duplicates, near_duplicates
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.examination import in_order
from brightrun.datasets.findings import Finding, FindingExample
from brightrun.datasets.fingerprints import Fingerprints
from brightrun.datasets.inspect import inspect_each
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Role

_COPIES_NAMED = 5


class RowProblem(BaseModel):
    """What one check found in the conversation."""

    model_config = ConfigDict(frozen=True)

    check: str
    severity: Literal["warning", "error"]
    count: int = Field(description="How often in this conversation.")
    reason: str
    fix: str
    places: list[FindingExample] = Field(description="The first few of them.")


def _is_absent(value: Any) -> bool:
    return value is None


class RowMessage(BaseModel):
    """A message as it stands in the file; weight 0: an answer that the file does not offer for training."""

    model_config = ConfigDict(frozen=True)

    role: Role
    content: str
    weight: float | None = None
    reasoning_content: str | None = Field(None, exclude_if=_is_absent)
    tool_calls: list[dict[str, Any]] | None = Field(None, exclude_if=_is_absent)
    tool_call_id: str | None = Field(None, exclude_if=_is_absent)
    name: str | None = Field(None, exclude_if=_is_absent)


class ProblemRow(BaseModel):
    """A conversation with its problems. Absent fields are not known."""

    model_config = ConfigDict(frozen=True)

    id: str
    number: int = Field(description="From 1, in the file's order.")
    place: str = Field(description="Where it stands in the file.")
    problems: list[RowProblem]
    persona: str | None = None
    arc: str | None = None
    topic: str | None = None
    messages: list[RowMessage]
    tools: list[dict[str, Any]] | None = Field(None, exclude_if=_is_absent)


def problem_rows(path: Path, *, chat: ChatModel, options: ReadOptions) -> Iterator[ProblemRow]:
    """Every conversation with a warning or an error, in the file's order. Notes ("info") ask for nothing.

    Raises:
        DatasetError: the file is unusable.
    """
    copies = _copies(path, options)
    for looked in inspect_each(path, chat=chat, options=options):
        name = looked.written.id
        found = looked.findings + copies.get(name, [])
        problems = [_problem(one, one.severity) for one in in_order(found) if one.severity != "info"]
        if problems:
            yield _row(looked.number, looked.written, problems)


def _copies(path: Path, options: ReadOptions) -> dict[str, list[Finding]]:
    """What the whole file tells of a conversation, by its id."""
    notes = Notes(Problems(path.name), options)
    found: dict[str, list[Finding]] = defaultdict(list)
    with closing(Fingerprints()) as fingerprints:
        for conversation in open_dataset(path, notes).conversations:
            fingerprints.add(conversation)
        notes.refuse()
        groups = fingerprints.groups()
    for check, alike in ((duplicates, groups.exact), (near_duplicates, groups.near)):
        for group in alike:
            for name in group:
                others = [other for other in group[: _COPIES_NAMED + 1] if other != name]
                found[name] += check.findings([[name, *others[:_COPIES_NAMED]]])
    return found


def _problem(finding: Finding, severity: Literal["warning", "error"]) -> RowProblem:
    return RowProblem(
        check=finding.check,
        severity=severity,
        count=finding.count,
        reason=finding.explanation,
        fix=finding.fix,
        places=finding.examples,
    )


def _row(number: int, written: Conversation, problems: list[RowProblem]) -> ProblemRow:
    opening = [] if written.system is None else [RowMessage(role="system", content=written.system)]
    return ProblemRow(
        id=written.id,
        number=number,
        place=written.place,
        problems=problems,
        persona=written.persona,
        arc=written.arc,
        topic=written.topic,
        messages=opening + [_message(turn) for turn in written.turns],
        tools=[json.loads(tool) for tool in written.tools] or None,
    )


def _weight(turn: Turn) -> float | None:
    if turn.is_answer and not turn.target:
        return 0
    return None if turn.weight == 1.0 else turn.weight


def _message(turn: Turn) -> RowMessage:
    calls = [
        {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
        for call in turn.calls
    ]
    return RowMessage(
        role=turn.role,
        content=turn.content,
        weight=_weight(turn),
        reasoning_content=turn.reasoning,
        tool_calls=calls or None,
        tool_call_id=turn.call_id,
        name=turn.name,
    )
