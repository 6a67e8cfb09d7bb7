"""One message per row: `role` and `content`, and an id that says which rows are one conversation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

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
    messages = []
    for row in rows:
        value = {key: held for key, held in row.value.items() if plain_name(key) not in {*_IDS, *_ORDER}}
        message = message_of(value, row.place)
        if message is not None:
            messages.append(message)
    fields = RecordFields({}, rows[0].place)
    return RawConversation(rows[0].place, messages, fields, own_id=name or None)
