"""One question and its answer in two fields: Alpaca, prompt and completion, Dolly, and whatever names people give."""

from __future__ import annotations

from typing import Any

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.chat import is_chat, messages_of
from brightrun.datasets.readers.fields import at, kind, text_of
from brightrun.datasets.readers.meanings import SYSTEM
from brightrun.datasets.readers.raw import RawConversation, RawMessage
from brightrun.datasets.readers.record_fields import Field, RecordFields

ALPACA, PAIRS = "alpaca", "prompt-completion"
RECOGNIZED_BY_ALPACA = "`instruction` and `output` or `response`, with or without `input`"
RECOGNIZED_BY_PAIRS = "a question and an answer, such as `prompt` and `completion`, or `question` and `answer`"

INSTRUCTION = ("instruction",)
ANSWERS = (
    "completion", "output", "response", "answer", "target", "reply", "output_text", "target_text", "assistant",
    "best_answer", "model_response", "generation", "generated_text", "a",
)  # fmt: skip
PROMPTS = (
    "prompt", "question", "query", "input", "input_text", "source_text", "user", "human", "user_input", "user_message",
    "request", "message", "q",
)  # fmt: skip
EXTRA = ("input", "context")
CONTEXT = ("context", "passage", "background")
_HISTORY = ("history", "conversation_history", "chat_history")
_PAIR = 2


def matches_alpaca(fields: RecordFields) -> bool:
    return any(name in fields for name in INSTRUCTION) and any(name in fields for name in (*ANSWERS, "chosen"))


def matches_pairs(fields: RecordFields) -> bool:
    """Where a question stands beside an answer, under any of their usual names."""
    return any(name in fields for name in PROMPTS) and any(name in fields for name in ANSWERS)


def columns_of(fields: RecordFields, name: str) -> dict[str, str]:
    """What the record's keys are read as, where the format is one of two fields; else nothing."""
    if name not in (ALPACA, PAIRS):
        return {}
    asked = INSTRUCTION if name == ALPACA else PROMPTS
    wanted = {"prompt": asked, "answer": ANSWERS, "context": EXTRA if name == ALPACA else CONTEXT, "system": SYSTEM}
    keys = {plain: key for plain, key, _ in fields.left()}
    found: dict[str, str] = {}
    for meaning, names in wanted.items():
        plain = next((each for each in names if each in keys and keys[each] not in found), None)
        if plain is not None:
            found[keys[plain]] = meaning
    return found


def read_alpaca(fields: RecordFields) -> RawConversation:
    asked = fields.need(*INSTRUCTION)
    extra = fields.take(*EXTRA)
    text = text_of(asked.value, asked.place)
    if extra is not None:
        text = f"{text}\n\n{text_of(extra.value, extra.place)}"
    answer = fields.need(*ANSWERS)
    messages = _history(fields.take(*_HISTORY))
    messages.append(RawMessage("user", text, asked.place))
    messages.append(RawMessage("assistant", text_of(answer.value, answer.place), answer.place))
    return RawConversation(fields.place, messages, fields)


def read_pairs(fields: RecordFields) -> RawConversation:
    asked, answer = fields.need(*PROMPTS), fields.need(*ANSWERS)
    context = fields.take(*CONTEXT)
    messages = _history(fields.take(*_HISTORY))
    messages += _asked(asked, context)
    messages += messages_of(answer) if is_chat(answer.value) else [_text(answer, "assistant")]
    return RawConversation(fields.place, messages, fields)


def _asked(asked: Field, context: Field | None) -> list[RawMessage]:
    if is_chat(asked.value):
        if context is not None:
            raise UnreadableRecordError(context.place, f"a `{context.key}` cannot stand beside a list of messages")
        return messages_of(asked)
    message = _text(asked, "user")
    if context is not None:
        message.content = f"{message.content}\n\n{text_of(context.value, context.place)}"
    return [message]


def _text(field: Field, role: Any) -> RawMessage:
    """A message of one field; figures in tables are texts, too."""
    value = field.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return RawMessage(role, text_of(value, field.place), field.place)


def _history(history: Field | None) -> list[RawMessage]:
    """Earlier turns: pairs of a question and its answer, or messages. Their answers are learned, as any."""
    if history is None:
        return []
    if is_chat(history.value):
        return messages_of(history)
    if not isinstance(history.value, list):
        raise UnreadableRecordError(history.place, f"expected a list of earlier turns, found {kind(history.value)}")
    messages = []
    for index, pair in enumerate(history.value):
        place = at(history.place, index)
        if not isinstance(pair, list | tuple) or len(pair) != _PAIR:
            raise UnreadableRecordError(place, "expected a question and its answer, as a list of two texts")
        messages += [
            RawMessage("user", text_of(pair[0], at(place, 0)), at(place, 0)),
            RawMessage("assistant", text_of(pair[1], at(place, 1)), at(place, 1)),
        ]
    return messages
