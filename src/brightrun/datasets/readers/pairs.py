"""Training pairs of one conversation merged into its turns. Holds the two traps of the format: the history of
an answer already ends with the client's input, and earlier answers must reappear word for word.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from brightrun.datasets.checks import input_not_in_history
from brightrun.datasets.conversation import Conversation, Labels, Turn
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers import meanings
from brightrun.datasets.readers.fields import (
    Json,
    as_object,
    at,
    kind,
    maybe_number,
    maybe_object,
    maybe_text,
    need,
    need_list,
    need_text,
)
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.record_fields import RecordFields, plain_name
from brightrun.datasets.readers.role_order import check_has_answers, check_role_order
from brightrun.templating.messages import Role

# What a training pair has in this format; the ones that are not read tell about the text and its making.
PAIR_FIELDS = frozenset({
    "id", "conversation_id", "turn_number", "conversation_metadata", "system_prompt", "conversation_history",
    "current_user_input", "emotional_context", "target_response", "training_metadata", "response_strategy",
})  # fmt: skip

TRAINING_FIELDS = frozenset({
    "difficulty_level", "key_learning_objective", "demonstrates_skills", "conversation_turn",
    "emotional_progression_target", "quality_score", "quality_criteria", "human_reviewed", "reviewer_notes",
    "use_as_seed_example", "generate_variations_count",
})  # fmt: skip

Said = tuple[Role, str]
_ROLES: dict[object, Role] = {"user": "user", "assistant": "assistant"}


class PairMerger:
    """Takes a conversation's pairs in order and knows its turns so far."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._known: list[Said] = []
        self._weights: dict[int, float] = {}
        self._answers = 0
        self._system: str | None = None
        self._first: Json | None = None
        self._labels: list[Labels] = []

    def add(self, pair: Json, place: str, name: str) -> None:
        """Take the next pair; raises UnreadableRecordError where it contradicts itself or those before it."""
        number = _turn_number(pair, place)
        answer = _target(pair, number, place)
        weight = read_beside(pair, PAIR_FIELDS, place, self._notes) * read_beside(
            maybe_object(pair, "training_metadata"), TRAINING_FIELDS, at(place, "training_metadata"), self._notes
        )
        said = self._said_before(pair, place, name, number, is_answer=answer is not None)
        self._check_system(pair, place)
        self._check_agreement(said, number, place)
        if answer is not None:
            said.append(("assistant", answer))
            if weight:
                self._weights[len(said)] = weight
            self._answers += 1
            self._labels.append(_labels(pair, len(said)))
        if len(said) != number:
            raise UnreadableRecordError(
                at(place, "turn_number"),
                f"the turn is number {number}, but history and pair make {len(said)} turns",
            )
        self._known = said

    def conversation(self, name: str, place: str) -> Conversation:
        check_has_answers(self._answers, place)
        facts = maybe_object(self._first or {}, "conversation_metadata")
        turns = tuple(
            Turn(number, role, content, target=number in self._weights, weight=self._weights.get(number, 1.0))
            for number, (role, content) in enumerate(self._known, start=1)
        )
        return Conversation(
            id=name,
            place=place,
            system=self._system,
            turns=turns,
            persona=maybe_text(facts, "persona_archetype"),
            arc=maybe_text(facts, "emotional_arc_key") or maybe_text(facts, "emotional_arc"),
            topic=maybe_text(facts, "training_topic_key") or maybe_text(facts, "training_topic"),
            client_persona=maybe_text(facts, "client_persona"),
            client_background=maybe_text(facts, "client_background"),
            labels=tuple(self._labels),
        )

    def _said_before(self, pair: Json, place: str, name: str, number: int, *, is_answer: bool) -> list[Said]:
        """All that was said before an answer, or with a client turn; the input is never there twice."""
        where = at(place, "conversation_history")
        history = need_list(pair, "conversation_history", place)
        said = [
            known if known is not None and _says(item, known) else _message(item, where, index)
            for index, (item, known) in enumerate(zip_longest(history, self._known[: len(history)]))
        ]
        check_role_order([role for role, _ in said], lambda index: at(where, index), greets=False)
        client: Said = ("user", need_text(pair, "current_user_input", place))
        if said and said[-1] == client:
            return said
        if said and said[-1][0] == "user":
            raise UnreadableRecordError(
                at(place, "current_user_input"),
                "roles are out of order: the history ends with another client message than current_user_input",
            )
        if is_answer:
            self._notes.add(
                input_not_in_history.CHECK, "history does not end with the input", conversation=name, turn=number
            )
        return [*said, client]

    def _check_agreement(self, said: list[Said], number: int, place: str) -> None:
        if number <= len(self._known):
            raise UnreadableRecordError(
                at(place, "turn_number"),
                f"turn {number} comes after turn {len(self._known)}: the turns of a conversation "
                "must be in order, each once",
            )
        where = at(place, "conversation_history")
        for index, before in enumerate(self._known):
            if index >= len(said) or said[index] != before:
                raise UnreadableRecordError(
                    at(where, index),
                    f"history differs: turn {index + 1} is not what an earlier pair of the "
                    "conversation says, "
                    "so its answers cannot be merged into one sequence",
                    hint=("Make the history repeat the earlier turns word for word, or remove this conversation."),
                    details={"turn": index + 1},
                )

    def _check_system(self, pair: Json, place: str) -> None:
        need(pair, "system_prompt", place)
        system = maybe_text(pair, "system_prompt")
        if self._first is None:
            self._first, self._system = pair, system
        elif system != self._system:
            raise UnreadableRecordError(
                at(place, "system_prompt"),
                "the system prompt differs from that of the conversation's first pair, so they cannot be merged",
            )


def read_beside(value: Json, known: frozenset[str], place: str, notes: Notes) -> float:
    """Read what stands beside the fields of the format; how much the answers count, 0 where they are not to be learned.

    Raises:
        UnreadableRecordError: something that changes what is to be learned and is not supported.
    """
    if known.issuperset(value):
        return True
    others = {key: held for key, held in value.items() if plain_name(key) not in known}
    if not others:
        return 1.0
    fields = RecordFields(others, place)
    meanings.refuse_meanings(fields)
    refused = fields.take(*meanings.REJECTED, *meanings.REASONING)
    if refused is not None:
        raise UnreadableRecordError(
            refused.place,
            f"`{refused.key}` is not part of this format, and changes what is to be learned",
            hint="Remove the field, or write the conversations as `messages`.",
        )
    weight = meanings.take_weight(fields)
    wanted = meanings.take_desirable(fields) is not False
    for plain, key, held in fields.left():
        notes.unread.add("", plain, key, held)
    return (1.0 if weight is None else weight) if wanted else 0.0


def _turn_number(pair: Json, place: str) -> int:
    number = need(pair, "turn_number", place)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UnreadableRecordError(at(place, "turn_number"), f"expected a number from 1, found {number!r:.40}")
    return number


def _target(pair: Json, number: int, place: str) -> str | None:
    value = need(pair, "target_response", place)
    where = at(place, "target_response")
    if value is None and number % 2 == 0:
        raise UnreadableRecordError(where, f"turn {number} is the consultant's, but its answer is null")
    if value is None:
        return None
    if number % 2 == 1:
        raise UnreadableRecordError(
            where, f"roles are out of order: turn {number} is the client's, but it has an answer"
        )
    return need_text(pair, "target_response", place)


def _says(item: Any, known: Said) -> bool:
    """Whether a message of a history is one that was read before, as nearly all of them are."""
    return isinstance(item, dict) and item.get("content") == known[1] and item.get("role") == known[0]


def _message(item: Any, where: str, index: int) -> Said:
    place = at(where, index)
    message = as_object(item, place)
    role = _ROLES.get(need_text(message, "role", place))
    if role is None:
        raise UnreadableRecordError(
            at(place, "role"),
            f"expected user or assistant, found {message['role']!r:.40} ({kind(message['role'])})",
        )
    return role, need_text(message, "content", place)


def _labels(pair: Json, turn: int) -> Labels:
    training = maybe_object(pair, "training_metadata")
    criteria = maybe_object(training, "quality_criteria")
    emotions = maybe_object(maybe_object(pair, "emotional_context"), "detected_emotions")
    history = pair["conversation_history"]
    client = maybe_object(history[-1], "emotional_state") if history else {}
    confidences = (
        maybe_number(emotions, "primary_confidence"),
        maybe_number(emotions, "secondary_confidence"),
    )
    return Labels(
        turn=turn,
        quality_score=maybe_number(training, "quality_score"),
        sub_scores=tuple(score for key in criteria if (score := maybe_number(criteria, key)) is not None),
        confidences=tuple(value for value in confidences if value is not None),
        human_reviewed=training.get("human_reviewed") is True,
        client_emotion=maybe_text(client, "primary"),
        context_emotion=maybe_text(emotions, "primary"),
    )
