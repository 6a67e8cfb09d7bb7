"""A conversation as a format has it, before anything is made of it: messages in their own words, and what else
stands beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.record_fields import RecordFields, plain_name
from brightrun.templating.messages import Role

# Roles by their plain names.
ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer", "instructions"), "system"),
    **dict.fromkeys(("user", "human", "client", "customer", "prompter", "patient", "question"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "bot", "model", "ai", "chatgpt", "chatbot", "agent", "consultant", "claude", "answer"),
        "assistant",
    ),
    **dict.fromkeys(
        ("tool", "function", "ipython", "observation", "function_response", "tool_response", "tool_result",
         "tool_results"),
        "tool",
    ),
}  # fmt: skip
# The text of such a message is the call itself.
CALL_ROLES = frozenset({"function_call", "tool_call", "tool_calls"})


@dataclass(slots=True)
class RawMessage:
    """One message. `content` is text, a list of parts or an object, `content_place` its place, `fields` the rest.

    `is_call`: its content is a tool call.
    """

    role: Role
    content: Any
    place: str
    fields: RecordFields | None = None
    content_place: str | None = None
    is_call: bool = False


@dataclass(slots=True)
class RawConversation:
    """A conversation; `fields` are what the format did not take of the record, `title` its name for people."""

    place: str
    messages: list[RawMessage]
    fields: RecordFields
    title: str | None = None
    own_id: str | None = None
    preferred: bool = False
    created_at: datetime | None = None


def role_of(word: Any, place: str) -> Role:
    """The role that a word means, in any spelling.

    Raises:
        UnreadableRecordError: an unknown one.
    """
    name = _plain(word)
    role = ROLES.get(name)
    if role is not None:
        return role
    if name in CALL_ROLES:
        return "assistant"
    raise UnreadableRecordError(
        place,
        f"expected system, user, assistant or tool, found {word!r:.40}",
        hint="Known words: " + ", ".join((*ROLES, *sorted(CALL_ROLES))) + ".",
    )


def is_call_role(word: Any) -> bool:
    """Whether a message of this role is a tool call."""
    return _plain(word) in CALL_ROLES


def _plain(word: Any) -> str:
    return plain_name(word) if isinstance(word, str) else ""
