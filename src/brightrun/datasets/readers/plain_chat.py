"""What the plain chat formats share: messages with roles become a conversation, their order checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.identities import SeenIds, content_id
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, maybe_count, maybe_text
from brightrun.datasets.readers.role_order import check_has_answers, check_role_order
from brightrun.templating.messages import Role


class PlacedMessage(NamedTuple):
    """A message as the file has it; `target` is False where the file asks not to learn it."""

    role: Role
    content: str
    place: str
    target: bool = True


def build_conversation(record: Json, messages: Sequence[PlacedMessage], place: str, seen: SeenIds) -> Conversation:
    """A conversation of these messages, the first of which may be the system prompt.

    Raises:
        UnreadableRecordError: roles out of order, no answers, or an id that stands twice.
    """
    system = messages[0].content if messages and messages[0].role == "system" else None
    spoken = messages[1:] if system is not None else messages
    check_role_order([message.role for message in spoken], [message.place for message in spoken])
    check_has_answers(sum(message.role == "assistant" for message in spoken), place)
    turns = tuple(
        Turn(number, message.role, message.content, target=message.role == "assistant" and message.target)
        for number, message in enumerate(spoken, start=1)
    )
    return Conversation(
        id=_name(record, [message.content for message in messages], place, seen),
        place=place,
        system=system,
        turns=turns,
        persona=maybe_text(record, "persona"),
        arc=maybe_text(record, "arc"),
        topic=maybe_text(record, "topic"),
    )


def _name(record: Json, texts: list[str], place: str, seen: SeenIds) -> str:
    """The record's own id, which must be unique, or one made of its content."""
    number = maybe_count(record, "id")
    own = maybe_text(record, "id") or maybe_text(record, "conversation_id") or number
    if own is None:
        return seen.unused(content_id(texts))
    if not seen.add(str(own)):
        raise UnreadableRecordError(
            place, f"the id {own!r:.80} stands twice", hint="Give every conversation its own id, or none."
        )
    return str(own)
