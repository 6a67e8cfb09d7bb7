"""A conversation as a format has it, before anything is made of it: messages in their own words, and what else
stands beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.record_fields import RecordFields, plain_name
from brightrun.templating.messages import Role

# Roles by their plain names. What calls a tool or answers one is refused by that name.
ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer", "instructions"), "system"),
    **dict.fromkeys(("user", "human", "client", "customer", "prompter", "patient", "question"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "bot", "model", "ai", "chatgpt", "chatbot", "agent", "consultant", "claude", "answer"),
        "assistant",
    ),
}
TOOL_ROLES = frozenset({"tool", "function", "ipython", "observation", "function_call", "function_response", "tool_call",
                        "tool_response", "tool_result"})  # fmt: skip


@dataclass(slots=True)
class RawMessage:
    """One message. `content` is text, a list of parts or an object, `content_place` its place, `fields` the rest."""

    role: Role
    content: Any
    place: str
    fields: RecordFields | None = None
    content_place: str | None = None


@dataclass(slots=True)
class RawConversation:
    """A conversation; `fields` are what the format did not take of the record, `title` its name for people."""

    place: str
    messages: list[RawMessage]
    fields: RecordFields
    title: str | None = None
    own_id: str | None = None
    preferred: bool = False


def role_of(word: Any, place: str) -> Role:
    """The role that a word means, in any spelling.

    Raises:
        UnreadableRecordError: an unknown one, or one of tool calling.
    """
    name = plain_name(word) if isinstance(word, str) else ""
    role = ROLES.get(name)
    if role is not None:
        return role
    if name in TOOL_ROLES:
        raise UnreadableRecordError(
            place,
            f"a message of role {word!r:.40} is tool calling, which cannot be trained on yet",
            hint="Leave such records out with --unreadable leave-out, or write the calls as text.",
        )
    raise UnreadableRecordError(
        place,
        f"expected system, user or assistant, found {word!r:.40}",
        hint="Known words: " + ", ".join(ROLES) + ".",
    )
