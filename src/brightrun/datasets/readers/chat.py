"""Chat formats: a list of messages, each with a role and a text. OpenAI's `messages`, ShareGPT's `conversations` of
`from` and `value`, and their kin: Anthropic, Bedrock and Nova write the system prompt beside the list.
"""

from __future__ import annotations

from typing import Any

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import as_object, at
from brightrun.datasets.readers.raw import RawConversation, RawMessage, is_call_role, role_of
from brightrun.datasets.readers.record_fields import Field, RecordFields

OPENAI, SHAREGPT = "openai-chat-jsonl", "sharegpt"
RECOGNIZED_BY_OPENAI = "lines with `messages`"
RECOGNIZED_BY_SHAREGPT = "`conversations` with `from` and `value`, or with `role` and `content`"

MESSAGES = ("messages", "message_list", "chat_messages")
CONVERSATIONS = ("conversations", "conversation", "dialogue", "dialog", "chat", "turns", "utterances")
ROLE = ("role", "from", "speaker", "author", "sender")
TEXT = ("content", "value", "text", "message", "utterance", "parts")


def matches_openai(fields: RecordFields) -> bool:
    return any(isinstance(fields.peek(name), list) for name in MESSAGES)


def matches_sharegpt(fields: RecordFields) -> bool:
    return any(is_chat(fields.peek(name)) for name in CONVERSATIONS)


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages: objects with a role."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    keys = {key.strip().casefold() for key in value[0]}
    return bool(keys & set(ROLE)) and bool(keys & {*TEXT, "tool_calls", "function_call", "weight"})


def read_openai(fields: RecordFields) -> RawConversation:
    return _conversation(fields, fields.need_list(*MESSAGES))


def read_sharegpt(fields: RecordFields) -> RawConversation:
    return _conversation(fields, fields.need_list(*CONVERSATIONS))


def _conversation(fields: RecordFields, messages: Field) -> RawConversation:
    return RawConversation(fields.place, messages_of(messages), fields)


def messages_of(field: Field) -> list[RawMessage]:
    """The messages of a list; empty system prompts are none.

    Raises:
        UnreadableRecordError
    """
    read = [message_of(item, at(field.place, index)) for index, item in enumerate(field.value)]
    return [message for message in read if message is not None]


def message_of(item: Any, place: str) -> RawMessage | None:
    """One message; None where it is an empty system prompt. Raises UnreadableRecordError."""
    fields = RecordFields(as_object(item, place), place)
    word = fields.need(*ROLE)
    role = role_of(word.value, word.place)
    content = fields.take(*TEXT)
    if content is None and role == "system" and not fields.left():
        return None
    if fields.peek("type") == "message":
        fields.take("type")
    if content is None and not fields.left():
        raise UnreadableRecordError(at(place, "content"), "the text is empty, or the field is missing")
    if content is None:
        return RawMessage(role, None, place, fields)
    return RawMessage(role, content.value, place, fields, content.place, is_call=is_call_role(word.value))
