"""A few rows of a table, read as a choice of columns has it, so that a person sees what a choice means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.options import ColumnMeaning, ReadingChoices
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_rows
from brightrun.datasets.readers.notes import Notes
from brightrun.templating.messages import Role

_NOWHERE = 0
_NUMBER = re.compile(r"row (\d+)")


class TriedMessage(BaseModel):
    """A message as it would be read."""

    model_config = ConfigDict(frozen=True)

    role: Role
    content: str


class TriedRow(BaseModel):
    """What becomes of one row: its messages, or why it cannot be read. Neither: it is part of the row before it."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(description="From 1.")
    messages: list[TriedMessage] = Field(description="Empty where the row cannot be read.")
    problem: str | None = Field(description="Why the row cannot be read.")


def try_rows(rows: Sequence[dict[str, Any]], columns: Mapping[str, ColumnMeaning]) -> list[TriedRow]:
    """The rows, each as the reader of files would read it.

    Raises:
        DatasetError: with these columns they are in no format that is known.
    """
    problems = Problems("The rows")
    notes = Notes(problems, ReadingChoices(columns=columns))
    read = {_number(one.place): _messages(one) for one in open_rows(rows, notes).conversations}
    broken = {_number(one.place): one.problem for one in problems.found}
    missing = broken.get(_NOWHERE)  # a column that some row lacks is no place in a row
    return [
        TriedRow(number=number, messages=read[number], problem=None)
        if number in read
        else TriedRow(number=number, messages=[], problem=broken.get(number, missing))
        for number in range(1, len(rows) + 1)
    ]


def _number(place: str) -> int:
    match = _NUMBER.match(place)
    return _NOWHERE if match is None else int(match[1])


def _messages(conversation: Conversation) -> list[TriedMessage]:
    opening = [] if conversation.system is None else [TriedMessage(role="system", content=conversation.system)]
    return opening + [TriedMessage(role=turn.role, content=turn.content) for turn in conversation.turns]
