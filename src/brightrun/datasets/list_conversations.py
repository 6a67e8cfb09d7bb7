"""What a file's conversations are called, how long and how old they are: to choose among them. Checks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from brightrun.datasets.options import ReadingChoices
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.choose import Choice
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes


class ListedConversation(NamedTuple):
    """A conversation of a file; `number` counts from 1, and `chosen` says whether the choices take it."""

    number: int
    id: str
    title: str | None
    turns: int
    created_at: datetime | None
    chosen: bool


def list_conversations(path: Path, choices: ReadingChoices) -> Iterator[ListedConversation]:
    """Every conversation of the file in its order, those that `choices.choose` leaves out too.

    Raises:
        DatasetError: the file cannot be read so.
    """
    notes = Notes(Problems(path.name), choices.reading_choices().model_copy(update={"choose": ()}))
    choice = Choice(choices.choose)
    for number, conversation in enumerate(open_dataset(path, notes).conversations, start=1):
        chosen = not choices.choose or bool(choice.fitting(number, conversation))
        yield ListedConversation(
            number, conversation.id, conversation.title, len(conversation.turns), conversation.created_at, chosen
        )
    notes.refuse()
