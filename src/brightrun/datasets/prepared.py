"""Prepared conversations: what training and proof read, one JSON line each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from brightrun.errors import DatasetError
from brightrun.templating.messages import Message, Role


class PreparedMessage(BaseModel):
    """One message; `trained` marks an answer that is trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    role: Role
    content: str
    trained: bool = Field(False, validation_alias=AliasChoices("trained", "learnt"))


class PreparedConversation(BaseModel):
    """A conversation ready for a chat template, repaired and cut behind its last trained answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    persona: str | None = None
    arc: str | None = None
    topic: str | None = None
    messages: list[PreparedMessage] = Field(min_length=2)

    def chat_messages(self) -> list[Message]:
        return [Message(message.role, message.content, message.trained) for message in self.messages]


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
