"""Preference records: one prompt, a preferred and a rejected answer. OpenAI's, TRL's and LLaMA-Factory's ways."""

from __future__ import annotations

from typing import Any

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.build import preference_refused
from brightrun.datasets.readers.chat import CONVERSATIONS, MESSAGES, is_chat, message_of, messages_of
from brightrun.datasets.readers.fields import text_of
from brightrun.datasets.readers.meanings import PREFERRED, REJECTED
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation, RawMessage
from brightrun.datasets.readers.record_fields import Field, RecordFields
from brightrun.datasets.readers.text_pairs import ANSWERS, EXTRA, INSTRUCTION, PROMPTS

NAME = "preferences"
RECOGNIZED_BY = "a preferred and a rejected answer, such as `chosen` and `rejected`"


def matches(fields: RecordFields) -> bool:
    """Where both answers stand beside the prompt. Messages that end in an answer are read as any other."""
    return any(name in fields for name in PREFERRED) and any(name in fields for name in REJECTED)


def read(fields: RecordFields, notes: Notes) -> RawConversation:
    """The prompt with the preferred answer, where that was chosen.

    Raises:
        UnreadableRecordError: it was not chosen, or the record is not understood.
    """
    preferred, rejected = fields.need(*PREFERRED), fields.need(*REJECTED)
    if notes.choices.preference == "refuse":
        raise preference_refused(rejected.key, rejected.place)
    answer = _answer(preferred)
    if len(answer) > 1:  # whole conversations, each with its prompt
        fields.take("prompt")
        messages = answer
    else:
        messages = _prompt(fields) + answer
    _drop_doubled_answer(fields, rejected, preferred)
    return RawConversation(fields.place, messages, fields, preferred=True)


def _answer(field: Field) -> list[RawMessage]:
    if is_chat(field.value):
        return messages_of(field)
    if isinstance(field.value, dict):
        message = message_of(field.value, field.place)
        return [] if message is None else [message]
    return [RawMessage("assistant", text_of(field.value, field.place), field.place)]


def _prompt(fields: RecordFields) -> list[RawMessage]:
    chat = fields.take(*MESSAGES, *CONVERSATIONS)
    if chat is not None:
        return messages_of(chat)
    asked = fields.need(*INSTRUCTION, *PROMPTS)
    if isinstance(asked.value, dict):  # OpenAI: the request as it would be sent
        inner = RecordFields(asked.value, asked.place)
        return messages_of(inner.need_list(*MESSAGES))
    if is_chat(asked.value):
        return messages_of(asked)
    text = text_of(asked.value, asked.place)
    extra = fields.take(*EXTRA)
    if extra is not None:
        text = f"{text}\n\n{text_of(extra.value, extra.place)}"
    return [RawMessage("user", text, asked.place)]


def _drop_doubled_answer(fields: RecordFields, rejected: Field, preferred: Field) -> None:
    """Take an answer that repeats one of the two; a third one is not understood."""
    third = fields.take(*ANSWERS)
    if third is not None and not any(_same(third.value, each.value) for each in (rejected, preferred)):
        raise UnreadableRecordError(
            third.place, f"`{third.key}` is neither the preferred answer nor the rejected one; which is to be learned?"
        )


def _same(first: Any, second: Any) -> bool:
    return bool(first == second)
