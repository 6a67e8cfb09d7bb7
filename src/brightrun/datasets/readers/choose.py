"""Only some of a file's conversations: by id, by number, by range, or by words of their titles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.readers.notes import Notes
from brightrun.errors import DatasetError

_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_id(choice: str) -> bool:
    """Whether a choice is a UUID, as account exports name their conversations."""
    return _UUID.fullmatch(choice) is not None


class Choice:
    """Which conversations are wanted. A UUID is an id and no words: thousands of them are looked up, not searched."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = frozenset(wanted)
        self._ranges: list[tuple[str, int, int]] = []
        self._words: list[tuple[str, str]] = []
        for choice in wanted:
            if match := _RANGE.fullmatch(choice.strip()):
                first, last = match.groups()
                self._ranges.append((choice, int(first), int(last or first)))
            elif not is_id(choice):
                self._words.append((choice, choice.casefold()))

    def fitting(self, number: int, conversation: Conversation) -> set[str]:
        """Those of the choices that the conversation fits; `number` counts from 1."""
        found = {conversation.id} & self._wanted
        found |= {choice for choice, first, last in self._ranges if first <= number <= last}
        if conversation.title is not None and self._words:
            title = conversation.title.casefold()
            found |= {choice for choice, words in self._words if words in title}
        return found


def chosen(conversations: Iterator[Conversation], notes: Notes) -> Iterator[Conversation]:
    """The conversations that were chosen; all of them where nothing was.

    Raises:
        DatasetError: at the end, a choice that no conversation fits.
    """
    wanted = notes.choices.choose
    if not wanted:
        yield from conversations
        return
    choice = Choice(wanted)
    used: set[str] = set()
    for number, conversation in enumerate(conversations, start=1):
        fitting = choice.fitting(number, conversation)
        used |= fitting
        if fitting:
            yield conversation
    unused = [each for each in wanted if each not in used]
    if unused:
        raise DatasetError(
            f"No conversation of {notes.problems.file_name} fits {unused[0]!r:.80}.",
            hint="Choose by id, by number from 1, by a range such as 3-9, or by words of a title.",
        )
