"""One conversation of a file looked at alone: as it stands there, as training would have it, what was found in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brightrun.datasets.checks import account_export, constant_scores, no_signal, unread_fields
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.examination import Examination, in_order
from brightrun.datasets.findings import Finding
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes
from brightrun.errors import DatasetError
from brightrun.templating.chat_model import ChatModel

# Of one conversation alone they would say what is not so, or the same of all.
_OF_THE_WHOLE_FILE = frozenset({constant_scores.NAME, no_signal.NAME, account_export.CHECK.name, unread_fields.NAME})


@dataclass(frozen=True, slots=True)
class InspectedConversation:
    """A conversation; what only the whole file tells (copies, constant scores) is not among its findings.

    Attributes:
        number: From 1, in the file's order.
        written: As it stands in the file.
        repaired: Repaired, and with its damaged answers set aside.
        kept: Whether it is trained on or kept for validation.
    """

    number: int
    written: Conversation
    repaired: Conversation
    kept: bool
    findings: list[Finding]


def inspect_each(path: Path, *, chat: ChatModel, options: ReadOptions) -> Iterator[InspectedConversation]:
    """Every conversation of the file, one at a time.

    Raises:
        DatasetError: the file is unusable.
    """
    notes = Notes(Problems(path.name), options)
    for number, (written, from_reading) in enumerate(_read(path, notes), start=1):
        yield _inspected(path, number, written, from_reading, chat, options)
    notes.refuse()


def inspect_conversation(path: Path, number: int, *, chat: ChatModel, options: ReadOptions) -> InspectedConversation:
    """The conversation with that number from 1; those before it are read and not examined.

    Raises:
        DatasetError: the file is unusable, or has fewer conversations.
    """
    notes = Notes(Problems(path.name), options)
    count = 0
    for count, (written, from_reading) in enumerate(_read(path, notes), start=1):
        if count == number:
            notes.refuse()  # a broken conversation before it was passed over: the number would be wrong
            return _inspected(path, number, written, from_reading, chat, options)
    raise DatasetError(f"{path.name} has no conversation {number}.", hint=f"Give a number from 1 to {count}.")


def find_number(path: Path, wanted: str, *, options: ReadOptions) -> int:
    """The number of the conversation with that id, else with that number, else whose id begins so.

    Raises:
        DatasetError: the file is unusable, or no conversation is meant.
    """
    notes = Notes(Problems(path.name), options)
    count, begins = 0, None
    for count, (written, _) in enumerate(_read(path, notes), start=1):
        if written.id == wanted:
            return count
        if begins is None and written.id.startswith(wanted):
            begins = count
    if wanted.isdecimal() and 1 <= int(wanted) <= count:
        return int(wanted)
    if begins is None:
        raise DatasetError(
            f"{path.name} has no conversation {wanted}.",
            hint=f"Give a number from 1 to {count}, or a conversation's id.",
        )
    return begins


def _read(path: Path, notes: Notes) -> Iterator[tuple[Conversation, list[Finding]]]:
    """Conversations as they stand, each with what reading it alone told."""
    for conversation in open_dataset(path, notes).conversations:
        yield conversation, notes.take_findings()


def _inspected(
    path: Path,
    number: int,
    written: Conversation,
    from_reading: list[Finding],
    chat: ChatModel,
    options: ReadOptions,
) -> InspectedConversation:
    alone = Examination(path, chat, options, counts_tokens=False)
    examined = alone.examine(written)
    found = from_reading + alone.findings_so_far()
    findings = [one for one in found if one.check not in _OF_THE_WHOLE_FILE]
    return InspectedConversation(number, written, examined.conversation, examined.kept, in_order(findings))
