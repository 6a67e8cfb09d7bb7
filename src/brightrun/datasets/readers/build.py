"""What all formats of messages share: from a conversation in its file's words to one that can be trained on.

What stands beside the texts is honored or refused by name here, once for every format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from brightrun.datasets.checks import (
    greetings,
    joined_systems,
    merged_turns,
    preferred_answers,
    reasoning_left_out,
    repeated_ids,
    undeclared_tools,
    undesirable_answers,
)
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import excerpt
from brightrun.datasets.identities import SeenIds, content_id
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers import meanings, tool_calling
from brightrun.datasets.readers.content import Content, content_of
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation, RawMessage
from brightrun.datasets.readers.record_fields import Field, RecordFields
from brightrun.datasets.readers.role_order import check_has_answers, check_role_order
from brightrun.datasets.repair_log import RepairLogEntry
from brightrun.templating.messages import Role, ToolCall

_PREFERENCE_HINT = (
    "Train on the preferred answers with --preference train-on-preferred; learning the difference (DPO) is not "
    "supported."
)


_PREFERENCE = frozenset((*meanings.REJECTED, *meanings.PREFERRED))
_SYSTEM, _REASONING = frozenset(meanings.SYSTEM), frozenset(meanings.REASONING)


@dataclass(slots=True)
class _Read:
    """A message that was understood; `weight` is None where nothing says how much it counts."""

    role: Role
    text: str
    place: str
    weight: float | None = None
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    name: str | None = None

    @property
    def texts(self) -> list[str]:
        calls = [text for call in self.calls for text in (call.name, call.arguments)]
        return [text for text in (self.text, *calls) if text]


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
        tools = _tools(fields)
        meanings.refuse_meanings(fields)
        preferred = raw.preferred or self._takes_preference(fields)
        wanted = meanings.take_desirable(fields)
        weight = meanings.take_weight(fields)
        systems = _systems(fields)
        messages = [read for message in raw.messages for read in self._read(message)]
        if fields.has_any(_REASONING) and (thought := fields.take(*meanings.REASONING)) is not None:
            self._give_reasoning(messages, content_of(thought.value, thought.place).text, thought.place)
        while messages and messages[0].role == "system":
            systems.append(messages.pop(0).text)
        systems = list(dict.fromkeys(systems))
        name = self._name(raw, [*systems, *(text for message in messages for text in message.texts)])
        spoken = _with_names(self._in_turns(messages, name))
        _check_answered(fields, spoken, raw.place)
        if spoken[0].role == "assistant":
            spoken[0].weight = 0.0
            self._notes.add(greetings.CHECK, excerpt(spoken[0].text), conversation=name, turn=1)
        if len(systems) > 1:
            self._notes.add(joined_systems.CHECK, excerpt(systems[-1]), conversation=name)
        if preferred:
            self._notes.add(preferred_answers.CHECK, excerpt(spoken[-1].text), conversation=name)
        if wanted is False:
            self._notes.add(undesirable_answers.CHECK, excerpt(spoken[-1].text), conversation=name)
        if unknown := tool_calling.undeclared((call for message in spoken for call in message.calls), tools):
            self._notes.add(undeclared_tools.CHECK, ", ".join(unknown), conversation=name)
        of_record = 0.0 if wanted is False else 1.0 if weight is None else weight
        return replace(self._conversation(raw, name, systems, spoken, weight=of_record), tools=tools)

    def _conversation(
        self, raw: RawConversation, name: str, systems: list[str], spoken: list[_Read], *, weight: float
    ) -> Conversation:
        persona, arc, topic = (raw.fields.take_label(key) for key in ("persona", "arc", "topic"))
        for plain, key, value in raw.fields.left():
            self._notes.unread.add("", plain, key, value)
        return Conversation(
            id=name,
            place=raw.place,
            system="\n\n".join(systems) or None,
            turns=tuple(_turn(number, message, weight) for number, message in enumerate(spoken, start=1)),
            title=raw.title,
            persona=persona,
            arc=arc,
            topic=topic,
            created_at=raw.created_at,
        )

    def _read(self, message: RawMessage) -> list[_Read]:
        """The message; several where a user's message brings the results of tools."""
        fields = message.fields if message.fields is not None else RecordFields({}, message.place)
        beside = fields.take(*tool_calling.CALLS) if message.role == "assistant" else None
        call_id = fields.take_label(*tool_calling.CALL_ID) if message.role == "tool" else None
        meanings.refuse_meanings(fields)
        weight = meanings.take_weight(fields)
        if message.role == "assistant" and meanings.take_desirable(fields) is False:
            weight = 0.0
        if message.role != "assistant" and weight:
            raise UnreadableRecordError(
                message.place,
                "the file asks to learn a message that is not the assistant's; only answers are trained on",
                hint="Leave the weight out of messages of the system and the user, or write 0.",
            )
        reasoning = fields.take(*meanings.REASONING) if fields.has_any(_REASONING) else None
        content = _content(message, fields, () if beside is None else tool_calling.calls_of(beside))
        thought = content.reasoning
        if thought is None and reasoning is not None:
            thought = content_of(reasoning.value, reasoning.place).text
        read = _Read(message.role, content.text, message.place, weight, calls=content.calls)
        if message.role == "tool":
            read = replace(read, call_id=call_id, name=fields.take_label("name"))
        if thought is not None:
            self._give_reasoning([read], thought, message.place)
        for plain, key, value in fields.left():
            self._notes.unread.add("turn/", plain, key, value)
        results = [
            _Read("tool", each.text, each.place, call_id=each.call_id, name=each.name) for each in content.results
        ]
        return [*results, read] if read.text or read.calls or not results else results

    def _give_reasoning(self, messages: list[_Read], thought: str, place: str) -> None:
        """Put reasoning before the last answer, or leave it out where that was decided."""
        if self._notes.choices.reasoning == "leave_out":
            self._notes.add(reasoning_left_out.CHECK, f"{place}: {excerpt(thought)}")
            return
        answers = [message for message in messages if message.role == "assistant"]
        if not answers:
            raise UnreadableRecordError(place, "reasoning stands beside a message that is not the assistant's")
        answers[-1].reasoning = thought.strip()

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
        check_role_order(
            [message.role for message in messages],
            lambda index: messages[index].place,
            calls=[len(message.calls) for message in messages],
        )
        return messages

    def _merged(self, messages: list[_Read], name: str) -> list[_Read]:
        merged: list[_Read] = []
        for message in messages:
            if not merged or merged[-1].role != message.role or message.role == "tool" or merged[-1].calls:
                merged.append(message)
                continue
            before = merged[-1]
            if (1.0 if before.weight is None else before.weight) != (1.0 if message.weight is None else message.weight):
                raise UnreadableRecordError(
                    message.place, "two turns in a row cannot be joined: they are to be learned with different weights"
                )
            text = "\n\n".join(filter(None, (before.text, message.text)))
            reasoning = "\n\n".join(filter(None, (before.reasoning, message.reasoning))) or None
            merged[-1] = replace(before, text=text, reasoning=reasoning, calls=message.calls)
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


def _turn(number: int, message: _Read, of_record: float) -> Turn:
    weight = of_record * (1.0 if message.weight is None else message.weight)
    return Turn(
        number,
        message.role,
        message.text,
        target=message.role == "assistant" and weight > 0,
        reasoning=message.reasoning,
        calls=message.calls,
        call_id=message.call_id,
        name=message.name,
        weight=weight or 1.0,
    )


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


def _tools(fields: RecordFields) -> tuple[str, ...]:
    tools: tuple[str, ...] = ()
    while (field := fields.take(*tool_calling.TOOLS)) is not None:
        if not meanings.is_empty_text(field.value):
            tools += tool_calling.tools_of(field)
    return tuple(dict.fromkeys(tools))


def _content(message: RawMessage, fields: RecordFields, calls: tuple[ToolCall, ...]) -> Content:
    """What the message holds, the calls beside it with it. Raises UnreadableRecordError where it holds nothing."""
    place = message.content_place or message.place
    if message.is_call:
        return Content("", calls=tool_calling.calls_of(Field("content", message.content, place)))
    if message.content is None and calls:
        return Content("", calls=calls)
    if message.content is None:
        others = [f"`{key}`" for _, key, _ in fields.left()]
        found = f"; it has {', '.join(others)}" if others else ""
        raise UnreadableRecordError(message.place, f"the message has no text{found}")
    if message.role == "tool" and not isinstance(message.content, str):
        return _result(message.content, place)
    content = content_of(message.content, place)
    if content.calls and message.role != "assistant":
        raise UnreadableRecordError(place, "a tool call stands in a message that is not the assistant's")
    return content._replace(calls=(*calls, *content.calls))


def _result(value: Any, place: str) -> Content:
    """A tool's message that holds an object or parts: its texts, or all of it as JSON."""
    if isinstance(value, list) and any(isinstance(part, dict) and "type" in part for part in value):
        content = content_of(value, place)
        return content if not content.results else Content(content.results[0].text)
    return Content(tool_calling.result_text(value, place))


def _with_names(spoken: list[_Read]) -> list[_Read]:
    """The turns, each result with the id and the name of its call.

    Raises:
        UnreadableRecordError: a result names a call that was not made.
    """
    waiting: list[ToolCall] = []
    named = []
    for message in spoken:
        if message.role != "tool":
            waiting = list(message.calls)
            named.append(message)
            continue
        ids = [call.id for call in waiting]
        if message.call_id is not None and any(ids) and message.call_id not in ids:
            raise UnreadableRecordError(
                message.place,
                f"the result of {message.call_id!r:.40} belongs to no call before it",
                hint="Give each result the id of its call, in the same turn of the assistant.",
            )
        call = waiting.pop(ids.index(message.call_id) if message.call_id in ids else 0)
        named.append(replace(message, call_id=message.call_id or call.id, name=message.name or call.name))
    return named


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
