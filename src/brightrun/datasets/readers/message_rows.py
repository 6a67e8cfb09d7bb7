"""One message per row: `role` and `content`, and an id that says which rows are one conversation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.build import Builder
from brightrun.datasets.readers.chat import ROLE, TEXT, message_of
from brightrun.datasets.readers.columns import renamed
from brightrun.datasets.readers.fields import Record, as_object
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation
from brightrun.datasets.readers.record_fields import RecordFields, plain_name

NAME = "message-rows"
RECOGNIZED_BY = "one message per row, with `role`, `content` and `conversation_id`"

_IDS = ("conversation_id", "session_id", "thread_id", "chat_id", "dialogue_id", "dialog_id", "conversation")
_ORDER = ("turn", "turn_number", "index", "order", "position", "timestamp", "created_at", "time", "date")


class _Row(NamedTuple):
    record: Record
    id: str


def matches(fields: RecordFields) -> bool:
    return any(name in fields for name in ROLE) and any(name in fields for name in TEXT)


def read(records: Iterator[Record], notes: Notes) -> Iterator[Conversation]:
    """Rows with one id after another are a conversation; without ids, the file is one."""
    builder, seen = Builder(notes), SeenIds()
    for name, rows in groupby(_rows(records, notes), key=lambda row: row.id):
        with notes.collecting():
            group = [row.record for row in rows]
            if not seen.add(name):
                raise UnreadableRecordError(
                    group[0].place,
                    f"rows of conversation {name!r:.80} come back after another one",
                    hint="Sort the rows by conversation, and by time within it.",
                )
            yield builder.build(_conversation(name, group))


def _rows(records: Iterator[Record], notes: Notes) -> Iterator[_Row]:
    for record in records:
        with notes.collecting():
            value = renamed(as_object(record.value, record.place), notes)
            name = RecordFields(value, record.place).take_label(*_IDS)
            yield _Row(record._replace(value=value), name or "")


def _conversation(name: str, rows: list[Record]) -> RawConversation:
    _check_order(name, rows)
    messages = []
    for row in rows:
        value = {key: held for key, held in row.value.items() if plain_name(key) not in {*_IDS, *_ORDER}}
        message = message_of(value, row.place)
        if message is not None:
            messages.append(message)
    fields = RecordFields({}, rows[0].place)
    return RawConversation(rows[0].place, messages, fields, own_id=name or None)


def _check_order(name: str, rows: list[Record]) -> None:
    """Raises UnreadableRecordError where a column says another order than that of the rows."""
    for column in _ORDER:
        places = [_place(_held(row, column)) for row in rows]
        known = [place for place in places if place is not None]
        if len(known) < len(rows):
            continue
        for index, (before, here) in enumerate(pairwise(known), start=1):
            if here < before:
                raise UnreadableRecordError(
                    rows[index].place,
                    f"the rows of conversation {name!r:.80} are not in the order of their `{column}`",
                    hint=f"Sort the rows by conversation, and by `{column}` within it.",
                )


def _held(row: Record, column: str) -> Any:
    return next((held for key, held in row.value.items() if plain_name(key) == column), None)


def _place(value: Any) -> float | None:
    """A number or a time as a number; None where it is neither."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        told = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp()
