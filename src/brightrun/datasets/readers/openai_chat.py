"""OpenAI chat JSONL: `messages` with roles; an assistant message with `weight: 0` is context, not learnt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, Record, as_object, at, need, need_list, need_text
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.plain_chat import PlacedMessage, build_conversation
from brightrun.templating.messages import Role

NAME = "openai-chat-jsonl"
RECOGNIZED_BY = "lines with `messages`"

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def matches(record: Json) -> bool:
    return isinstance(record.get("messages"), list)


def read(records: Iterator[Record], notes: Notes) -> Iterator[Conversation]:
    seen = SeenIds()
    for record in records:
        with notes.collecting():
            value = as_object(record.value, record.place)
            where = at(record.place, "messages")
            items = need_list(value, "messages", record.place)
            messages = [_message(item, at(where, index)) for index, item in enumerate(items)]
            yield build_conversation(value, messages, record.place, seen)


def _message(item: Any, place: str) -> PlacedMessage:
    message = as_object(item, place)
    role = need_text(message, "role", place)
    if role not in _ROLES:
        raise UnreadableRecordError(
            at(place, "role"),
            f"expected system, user or assistant, found {role!r:.40}; tool calls are not supported",
        )
    weight = message.get("weight", 1)
    if weight not in (0, 1):
        raise UnreadableRecordError(at(place, "weight"), f"expected 0 or 1, found {weight!r:.40}")
    return PlacedMessage(_ROLES[role], _content(message, place), place, target=weight == 1)


def _content(message: Json, place: str) -> str:
    """The text of a message, given whole or in parts of type text."""
    if not isinstance(message.get("content"), list):
        return need_text(message, "content", place)
    where = at(place, "content")
    texts = []
    for index, part in enumerate(message["content"]):
        value = as_object(part, at(where, index))
        if need(value, "type", at(where, index)) != "text":
            raise UnreadableRecordError(at(where, index), f"only text can be trained on, found {value['type']!r:.40}")
        texts.append(need_text(value, "text", at(where, index)))
    if not texts:
        raise UnreadableRecordError(where, "the text is empty")
    return "".join(texts)
