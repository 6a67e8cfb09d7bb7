"""ShareGPT: `conversations` of `from` and `value`; `human` and `gpt` are its words for client and answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, Record, as_object, at, maybe_text, need_list, need_text
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.plain_chat import PlacedMessage, build_conversation
from brightrun.templating.messages import Role

NAME = "sharegpt"
RECOGNIZED_BY = "`conversations` with `from` and `value`"

_ROLES: dict[str, Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
}


def matches(record: Json) -> bool:
    turns = record.get("conversations")
    return isinstance(turns, list) and (not turns or (isinstance(turns[0], dict) and "from" in turns[0]))


def read(records: Iterator[Record], notes: Notes) -> Iterator[Conversation]:
    seen = SeenIds()
    for record in records:
        with notes.collecting():
            value = as_object(record.value, record.place)
            yield build_conversation(value, _messages(value, record.place), record.place, seen)


def _messages(value: Json, place: str) -> list[PlacedMessage]:
    where = at(place, "conversations")
    items = need_list(value, "conversations", place)
    messages = [_message(item, at(where, index)) for index, item in enumerate(items)]
    system = maybe_text(value, "system")
    if system is not None and (not messages or messages[0].role != "system"):
        messages.insert(0, PlacedMessage("system", system, at(place, "system")))
    return messages


def _message(item: Any, place: str) -> PlacedMessage:
    message = as_object(item, place)
    speaker = need_text(message, "from", place)
    if speaker not in _ROLES:
        raise UnreadableRecordError(
            at(place, "from"), f"expected human, gpt, system, user or assistant, found {speaker!r:.40}"
        )
    return PlacedMessage(_ROLES[speaker], need_text(message, "value", place), place)
