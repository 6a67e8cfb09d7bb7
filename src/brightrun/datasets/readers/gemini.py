"""Gemini and Vertex AI: `contents` of `role` and `parts`, the system prompt beside them. OpenAI's Responses: `input`,
`output` and `instructions`.
"""

from __future__ import annotations

from typing import Any

from brightrun.datasets.readers.chat import is_chat, message_of
from brightrun.datasets.readers.fields import at
from brightrun.datasets.readers.raw import RawConversation, RawMessage
from brightrun.datasets.readers.record_fields import Field, RecordFields

GEMINI, RESPONSES = "gemini-contents", "openai-responses"
RECOGNIZED_BY_GEMINI = "`contents` with `role` and `parts`"
RECOGNIZED_BY_RESPONSES = "`input` and `output` with items of type `message`"


def matches_gemini(fields: RecordFields) -> bool:
    return is_chat(fields.peek("contents"))


def read_gemini(fields: RecordFields) -> RawConversation:
    contents = fields.need_list("contents")
    return RawConversation(fields.place, _items(contents), fields)


def matches_responses(fields: RecordFields) -> bool:
    output = fields.peek("output")
    return "input" in fields and isinstance(output, list) and any(_is_message(item) for item in output)


def read_responses(fields: RecordFields) -> RawConversation:
    """Items of other types than `message` are refused where they say something: calls, reasoning."""
    asked, answered = fields.need("input"), fields.need_list("output")
    text = isinstance(asked.value, str)
    messages = [RawMessage("user", asked.value, asked.place)] if text else _items(asked)
    return RawConversation(fields.place, messages + _items(answered), fields)


def _items(field: Field) -> list[RawMessage]:
    messages = []
    for index, item in enumerate(field.value):
        place = at(field.place, index)
        kind = item.get("type") if isinstance(item, dict) else None
        if kind not in (None, "message"):
            item = {"role": "assistant", "content": [item]}  # noqa: PLW2901 - refused by its name, as a part is
        elif isinstance(item, dict) and field.key == "contents":
            item = {"role": "user", **item}  # noqa: PLW2901 - the interface takes a missing role as the user's
        message = message_of(item, place)
        if message is not None:
            messages.append(message)
    return messages


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type", "message") == "message" and "role" in item
