"""What all formats of messages share: from a conversation in its file's words to one that can be trained on.

What stands beside the texts is honored or refused by name here, once for every format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from brightrun.datasets.checks import (
    greetings,
    joined_systems,
    merged_turns,
    preferred_answers,
    reasoning_left_out,
    repeated_ids,
    undesirable_answers,
)
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import excerpt
from brightrun.datasets.identities import SeenIds, content_id
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers import meanings
from brightrun.datasets.readers.content import content_of
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation, RawMessage
from brightrun.datasets.readers.record_fields import RecordFields
from brightrun.datasets.readers.role_order import check_has_answers, check_role_order
from brightrun.datasets.repair_log import RepairLogEntry
from brightrun.templating.messages import Role

_PREFERENCE_HINT = (
    "Train on the preferred answers with --preference train-on-preferred; learning the difference (DPO) is not "
    "supported."
)


_PREFERENCE = frozenset((*meanings.REJECTED, *meanings.PREFERRED))
_SYSTEM, _REASONING = frozenset(meanings.SYSTEM), frozenset(meanings.REASONING)


@dataclass(slots=True)
class _Read:
    """A message that was understood; `learn` is None where nothing says whether it is to be learned."""

    role: Role
    text: str
    place: str
    learn: bool | None = None


class Builder:
    """Makes the conversations of one file."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._seen = SeenIds()

    def build(self, raw: RawConversation) -> Conversation:
        """The conversation.

        Raises:
            UnreadableRecordError: roles out of order, no answers, or something that is refused by its name.
        """
        fields = raw.fields
        meanings.refuse_meanings(fields)
        preferred = raw.preferred or self._takes_preference(fields)
        wanted = meanings.take_desirable(fields)
        learn = meanings.take_weight(fields)
        if fields.has_any(_REASONING) and (thought := fields.take(*meanings.REASONING)) is not None:
            self._leave_reasoning_out(thought.place, content_of(thought.value, thought.place).text)
        systems = _systems(fields)
        messages = [self._read(message) for message in raw.messages]
        while messages and messages[0].role == "system":
            systems.append(messages.pop(0).text)
        systems = list(dict.fromkeys(systems))
        name = self._name(raw, [*systems, *(message.text for message in messages)])
        spoken = self._in_turns(messages, name)
        _check_answered(fields, spoken, raw.place)
        spoken = [replace(message, learn=message.learn is not False) for message in spoken]
        if spoken[0].role == "assistant":
            spoken[0].learn = False
            self._notes.add(greetings.CHECK, excerpt(spoken[0].text), conversation=name, turn=1)
        if len(systems) > 1:
            self._notes.add(joined_systems.CHECK, excerpt(systems[-1]), conversation=name)
        if preferred:
            self._notes.add(preferred_answers.CHECK, excerpt(spoken[-1].text), conversation=name)
        if wanted is False:
            self._notes.add(undesirable_answers.CHECK, excerpt(spoken[-1].text), conversation=name)
        offered = learn is not False and wanted is not False
        return self._conversation(raw, name, systems, spoken, offered=offered)

    def _conversation(
        self, raw: RawConversation, name: str, systems: list[str], spoken: list[_Read], *, offered: bool
    ) -> Conversation:
        persona, arc, topic = (raw.fields.take_label(key) for key in ("persona", "arc", "topic"))
        for plain, key, value in raw.fields.left():
            self._notes.unread.add("", plain, key, value)
        return Conversation(
            id=name,
            place=raw.place,
            system="\n\n".join(systems) or None,
            turns=tuple(
                Turn(
                    number,
                    message.role,
                    message.text,
                    target=offered and message.role == "assistant" and message.learn is True,
                )
                for number, message in enumerate(spoken, start=1)
            ),
            title=raw.title,
            persona=persona,
            arc=arc,
            topic=topic,
        )

    def _read(self, message: RawMessage) -> _Read:
        fields, learn, beside = message.fields, None, None
        if fields is not None:
            meanings.refuse_meanings(fields)
            learn = meanings.take_weight(fields)
            if message.role == "assistant" and meanings.take_desirable(fields) is False:
                learn = False
            beside = fields.take(*meanings.REASONING) if fields.has_any(_REASONING) else None
        if message.content is None:
            others = [] if fields is None else [f"`{key}`" for _, key, _ in fields.left()]
            found = f"; it has {', '.join(others)}" if others else ""
            raise UnreadableRecordError(message.place, f"the message has no text{found}")
        content = content_of(message.content, message.content_place or message.place)
        if message.role != "assistant" and learn:
            raise UnreadableRecordError(
                message.place,
                "the file asks to learn a message that is not the assistant's; only answers are trained on",
                hint="Leave the weight out of messages of the system and the user, or write 0.",
            )
        reasoning = content.reasoning or (None if beside is None else content_of(beside.value, beside.place).text)
        if reasoning is not None:
            self._leave_reasoning_out(message.place, reasoning)
        for plain, key, value in fields.left() if fields is not None else ():
            self._notes.unread.add("turn/", plain, key, value)
        return _Read(message.role, content.text, message.place, learn)

    def _leave_reasoning_out(self, place: str, reasoning: str) -> None:
        if self._notes.choices.reasoning == "refuse":
            raise UnreadableRecordError(
                place,
                "the answer comes with reasoning, which cannot be trained on",
                hint="Train on the answers alone with --reasoning leave-out.",
                offers=("reasoning", "leave_out"),
            )
        self._notes.add(reasoning_left_out.CHECK, f"{place}: {excerpt(reasoning)}")

    def _takes_preference(self, fields: RecordFields) -> bool:
        """Whether this is a record of a preference; its fields are taken where the preferred answer is chosen."""
        if not fields.has_any(_PREFERENCE):
            return False
        rejected = fields.take(*meanings.REJECTED)
        if rejected is None:
            preferred = fields.need(*meanings.PREFERRED)
            raise UnreadableRecordError(
                preferred.place,
                f"`{preferred.key}` names a preferred answer beside the others; which is to be learned cannot be known",
                hint="Keep one answer in the record, or give the rejected one as `rejected`.",
            )
        if self._notes.choices.preference == "refuse":
            raise preference_refused(rejected.key, rejected.place)
        fields.take(*meanings.PREFERRED)
        return True

    def _in_turns(self, messages: list[_Read], name: str) -> list[_Read]:
        """The messages in turns: the sides alternate, the assistant may begin."""
        if self._notes.choices.merge_turns:
            messages = self._merged(messages, name)
        check_role_order([message.role for message in messages], lambda index: messages[index].place)
        return messages

    def _merged(self, messages: list[_Read], name: str) -> list[_Read]:
        merged: list[_Read] = []
        for message in messages:
            if not merged or merged[-1].role != message.role:
                merged.append(message)
                continue
            before = merged[-1]
            if (before.learn is False) != (message.learn is False):
                raise UnreadableRecordError(
                    message.place, "two turns in a row cannot be joined: one is to be learned and the other is not"
                )
            merged[-1] = replace(before, text=f"{before.text}\n\n{message.text}", learn=before.learn)
            reason = f"{message.place} was joined to the turn before it"
            self._notes.add(merged_turns.CHECK, reason, conversation=name, turn=len(merged))
            self._notes.log(
                RepairLogEntry(
                    kind="merge", check=merged_turns.CHECK.name, reason=reason, conversation=name, turn=len(merged)
                )
            )
        return merged

    def _name(self, raw: RawConversation, texts: list[str]) -> str:
        """The record's own id, or one made of its content; a number behind it where it was used before."""
        own = raw.own_id or raw.fields.take_label("id", "conversation_id")
        if own is None:
            return self._seen.unused(content_id(texts))
        name = self._seen.unused(own)
        if name != own:
            self._notes.add(repeated_ids.CHECK, f"{raw.place}: {own!r:.80} is now {name!r:.80}", conversation=name)
        return name


def preference_refused(key: str, place: str) -> UnreadableRecordError:
    """The refusal of a record that has a preferred and a rejected answer."""
    return UnreadableRecordError(
        place,
        f"a preference record (`{key}`): it says which of two answers is better",
        hint=_PREFERENCE_HINT,
        offers=("preference", "train_on_preferred"),
    )


def _systems(fields: RecordFields) -> list[str]:
    texts: list[str] = []
    if not fields.has_any(_SYSTEM):
        return texts
    while (field := fields.take(*meanings.SYSTEM)) is not None:
        texts.append(content_of(field.value, field.place).text)
    return texts


def _check_answered(fields: RecordFields, spoken: list[_Read], place: str) -> None:
    answers = sum(message.role == "assistant" for message in spoken)
    grader = fields.take(*meanings.REINFORCEMENT) if not answers else None
    if grader is not None:
        raise UnreadableRecordError(
            place,
            f"a record for reinforcement (`{grader.key}`): it has no answer, and says how one would be graded",
            hint="Write the answers as assistant messages; reinforcement is not supported.",
        )
    check_has_answers(answers - (spoken[:1] != [] and spoken[0].role == "assistant"), place)
