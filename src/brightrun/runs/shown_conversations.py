"""Which training conversations stand before a prompt where the base is only prompted, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple, Protocol

from brightrun.errors import BrightRunError
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Message

TRIED = 32
"""After so many that do not fit none is likely to; in a large dataset each would be rendered for nothing."""


class Labelled(Protocol):
    """A conversation with its labels."""

    @property
    def id(self) -> str: ...

    @property
    def persona(self) -> str | None: ...

    @property
    def arc(self) -> str | None: ...

    def chat_messages(self) -> Sequence[Message]: ...


class ShownConversations(NamedTuple):
    """Turns to stand between the system prompt and a conversation, how many they come from, and their tokens."""

    turns: tuple[Message, ...]
    conversations: int
    tokens: int


def choose_shown(conversations: Iterable[Labelled], chat: ChatModel, *, room: int) -> ShownConversations:
    """As many conversations as fit into `room` tokens, from as many personas and arcs as possible, in order of ids.

    Only plain ones can stand there: from a client's turn to a consultant's, without tools and calls. What does not fit
    any more is passed over for what does, `TRIED` in a row at most.
    """
    turns: list[Message] = []
    chosen = tokens = missed = 0
    for conversation in _by_turns(conversations):
        if missed == TRIED:
            break
        candidate = [*turns, *conversation]
        try:
            size = len(chat.encode_prompt([*candidate, Message("user", "?")]))
        except BrightRunError:  # the template refuses such turns
            size = room + 1
        if size <= room:
            turns, tokens, chosen, missed = candidate, size, chosen + 1, 0
        else:
            missed += 1
    return ShownConversations(tuple(turns), chosen, tokens)


def behind_shown(shown: Sequence[Message], messages: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation with the shown turns before its own, behind its system prompt."""
    opening = [message for message in messages[:1] if message.role == "system"]
    return (*opening, *shown, *messages[len(opening) :])


def _by_turns(conversations: Iterable[Labelled]) -> list[list[Message]]:
    """The plain conversations' turns; the first of every persona and arc, then the second ones, and so on."""
    groups: dict[tuple[str, str], list[list[Message]]] = {}
    for conversation in sorted(conversations, key=lambda one: one.id):
        turns = _plain_turns(conversation.chat_messages())
        if turns:
            groups.setdefault((conversation.persona or "", conversation.arc or ""), []).append(turns)
    rounds = zip_longest(*(groups[name] for name in sorted(groups)))
    return [turns for one_round in rounds for turns in one_round if turns is not None]


def _plain_turns(messages: Sequence[Message]) -> list[Message]:
    turns = [message for message in messages if message.role != "system"]
    plain = all(message.role in ("user", "assistant") and not message.calls for message in turns)
    wanted = ["user", "assistant"] * (len(turns) // 2)
    if not plain or messages[0].tools or [message.role for message in turns] != wanted:
        return []
    return [replace(message, trained=False, reasoning=None, weight=1.0, tools=()) for message in turns]
