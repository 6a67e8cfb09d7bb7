"""The formats whose file is many values, one per line, row or element: how each is recognized and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.readers import (
    account_exports,
    brightrun_v4_lines,
    chat,
    gemini,
    message_rows,
    preferences,
    text_pairs,
)
from brightrun.datasets.readers.build import Builder
from brightrun.datasets.readers.columns import renamed
from brightrun.datasets.readers.fields import Record, as_object
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation
from brightrun.datasets.readers.record_fields import RecordFields


class RecordFormat(NamedTuple):
    """A format whose file is many values."""

    name: str
    recognized_by: str
    matches: Callable[[RecordFields], bool]
    read: Callable[[Iterator[Record], Notes], Iterator[Conversation]]


def fields_of(value: Any, place: str, notes: Notes) -> RecordFields:
    """A record's fields, with the meanings that were given to its keys. Raises UnreadableRecordError."""
    if chat.is_chat(value):
        return RecordFields({"messages": value}, place)
    return RecordFields(renamed(as_object(value, place), notes), place)


def _each(convert: Callable[[RecordFields, Notes], RawConversation]) -> Callable[..., Iterator[Conversation]]:
    def read(records: Iterator[Record], notes: Notes) -> Iterator[Conversation]:
        builder = Builder(notes)
        for record in records:
            with notes.collecting():
                yield builder.build(convert(fields_of(record.value, record.place, notes), notes))

    return read


def _plain(
    name: str,
    recognized_by: str,
    matches: Callable[[RecordFields], bool],
    convert: Callable[[RecordFields], RawConversation],
) -> RecordFormat:
    return RecordFormat(name, recognized_by, matches, _each(lambda fields, _: convert(fields)))


# In the order in which they are looked for: the narrower before the wider.
RECORD_FORMATS = (
    RecordFormat(
        brightrun_v4_lines.NAME,
        brightrun_v4_lines.RECOGNIZED_BY,
        brightrun_v4_lines.matches,
        brightrun_v4_lines.read,
    ),
    RecordFormat(
        account_exports.CLAUDE,
        account_exports.RECOGNIZED_BY_CLAUDE,
        account_exports.matches_claude,
        _each(account_exports.read_claude),
    ),
    RecordFormat(
        account_exports.CHATGPT,
        account_exports.RECOGNIZED_BY_CHATGPT,
        account_exports.matches_chatgpt,
        _each(account_exports.read_chatgpt),
    ),
    RecordFormat(preferences.NAME, preferences.RECOGNIZED_BY, preferences.matches, _each(preferences.read)),
    _plain(chat.OPENAI, chat.RECOGNIZED_BY_OPENAI, chat.matches_openai, chat.read_openai),
    _plain(chat.SHAREGPT, chat.RECOGNIZED_BY_SHAREGPT, chat.matches_sharegpt, chat.read_sharegpt),
    _plain(gemini.GEMINI, gemini.RECOGNIZED_BY_GEMINI, gemini.matches_gemini, gemini.read_gemini),
    _plain(gemini.RESPONSES, gemini.RECOGNIZED_BY_RESPONSES, gemini.matches_responses, gemini.read_responses),
    _plain(text_pairs.ALPACA, text_pairs.RECOGNIZED_BY_ALPACA, text_pairs.matches_alpaca, text_pairs.read_alpaca),
    _plain(text_pairs.PAIRS, text_pairs.RECOGNIZED_BY_PAIRS, text_pairs.matches_pairs, text_pairs.read_pairs),
    RecordFormat(message_rows.NAME, message_rows.RECOGNIZED_BY, message_rows.matches, message_rows.read),
)
