"""Prepared conversations: what training and proof read, one JSON line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from brightrun.errors import DatasetError
from brightrun.templating.messages import Message, Role, ToolCall


def _says_nothing(value: Any) -> bool:
    return not value


def _is_one(value: float) -> bool:
    return value == 1.0


class PreparedCall(BaseModel):
    """A tool call; `arguments` is the text of a JSON object."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    arguments: str
    id: str | None = Field(None, exclude_if=_says_nothing)


class PreparedMessage(BaseModel):
    """One message; `trained` marks an answer that is trained on. What it does not have is not written."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    role: Role
    content: str
    trained: bool = Field(False, validation_alias=AliasChoices("trained", "learnt"))
    reasoning: str | None = Field(None, exclude_if=_says_nothing)
    calls: tuple[PreparedCall, ...] = Field((), exclude_if=_says_nothing)
    call_id: str | None = Field(None, exclude_if=_says_nothing)
    name: str | None = Field(None, exclude_if=_says_nothing)
    weight: float = Field(1.0, gt=0, exclude_if=_is_one)

    @classmethod
    def of(cls, message: Message) -> PreparedMessage:
        """The message without its tools, which the conversation holds."""
        calls = tuple(PreparedCall(name=call.name, arguments=call.arguments, id=call.id) for call in message.calls)
        return cls(
            role=message.role,
            content=message.content,
            trained=message.trained,
            reasoning=message.reasoning,
            calls=calls,
            call_id=message.call_id,
            name=message.name,
            weight=message.weight,
        )

    def message(self) -> Message:
        calls = tuple(ToolCall(call.name, call.arguments, call.id) for call in self.calls)
        return Message(
            self.role,
            self.content,
            self.trained,
            self.reasoning,
            calls,
            call_id=self.call_id,
            name=self.name,
            weight=self.weight,
        )


class PreparedConversation(BaseModel):
    """A conversation ready for a chat template, repaired and cut behind its last trained answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    persona: str | None = None
    arc: str | None = None
    topic: str | None = None
    messages: list[PreparedMessage] = Field(min_length=2)
    tools: tuple[str, ...] = Field((), exclude_if=_says_nothing, description="JSON objects, as templates take them.")

    def chat_messages(self) -> list[Message]:
        messages = [message.message() for message in self.messages]
        return [replace(messages[0], tools=self.tools), *messages[1:]]


def read_prepared(path: Path) -> Iterator[PreparedConversation]:
    """The conversations of a prepared file, one at a time.

    Raises:
        DatasetError: the file is absent, or a line is no prepared conversation.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DatasetError(
            f"There is no prepared dataset at {path}.",
            hint="Prepare it with `brightrun dataset prepare FILE`.",
        ) from error
    with stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield PreparedConversation.model_validate_json(line)
            except ValidationError as error:
                raise DatasetError(
                    f"{path.name} line {number} is not a prepared conversation: {error.errors()[0]['msg']}.",
                    hint="Prepare the dataset again; the file was changed or cut.",
                    details={"line": number},
                ) from error
