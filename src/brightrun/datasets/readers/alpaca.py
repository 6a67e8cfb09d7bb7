"""Alpaca: `instruction`, an optional `input`, and the `output`; each is a conversation of one answer."""

from __future__ import annotations

from collections.abc import Iterator

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, Record, as_object, at, maybe_text, need_text
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.plain_chat import PlacedMessage, build_conversation

NAME = "alpaca"
RECOGNIZED_BY = "`instruction` and `output`, with or without `input`"


def matches(record: Json) -> bool:
    return "instruction" in record and "output" in record


def read(records: Iterator[Record], notes: Notes) -> Iterator[Conversation]:
    seen = SeenIds()
    for record in records:
        with notes.collecting():
            value = as_object(record.value, record.place)
            yield build_conversation(value, _messages(value, record.place), record.place, seen)


def _messages(value: Json, place: str) -> list[PlacedMessage]:
    if value.get("history"):
        raise UnreadableRecordError(
            at(place, "history"),
            "earlier turns in `history` are not part of the Alpaca format read here",
            hint="Convert conversations of several turns to OpenAI chat JSONL.",
        )
    asked = need_text(value, "instruction", place)
    extra = maybe_text(value, "input")
    asked = asked if extra is None else f"{asked}\n\n{extra}"
    messages = [
        PlacedMessage("user", asked, at(place, "instruction")),
        PlacedMessage("assistant", need_text(value, "output", place), at(place, "output")),
    ]
    system = maybe_text(value, "system")
    return messages if system is None else [PlacedMessage("system", system, at(place, "system")), *messages]
