"""Only some of a file's conversations: by id, by number, by range, or by words of their titles."""

from __future__ import annotations

import re
from collections.abc import Iterator

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.readers.notes import Notes
from brightrun.errors import DatasetError

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def chosen(conversations: Iterator[Conversation], notes: Notes) -> Iterator[Conversation]:
    """The conversations that were chosen; all of them where nothing was.

    Raises:
        DatasetError: at the end, a choice that no conversation fits.
    """
    wanted = notes.choices.choose
    if not wanted:
        yield from conversations
        return
    used: set[str] = set()
    for number, conversation in enumerate(conversations, start=1):
        fitting = {choice for choice in wanted if _fits(choice, number, conversation)}
        used |= fitting
        if fitting:
            yield conversation
    unused = [choice for choice in wanted if choice not in used]
    if unused:
        raise DatasetError(
            f"No conversation of {notes.problems.file_name} fits {unused[0]!r:.80}.",
            hint="Choose by id, by number from 1, by a range such as 3-9, or by words of a title.",
        )


def _fits(choice: str, number: int, conversation: Conversation) -> bool:
    if choice == conversation.id:
        return True
    if match := _RANGE.fullmatch(choice.strip()):
        first, last = match.groups()
        return int(first) <= number <= int(last or first)
    return conversation.title is not None and choice.casefold() in conversation.title.casefold()
