"""The container brightrun-lora-v4: one JSON object with a header, the consultant and all conversations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from brightrun.datasets.checks import repeated_ids
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import (
    Json,
    as_object,
    at,
    maybe_count,
    maybe_object,
    maybe_text,
    need,
    need_list,
    need_text,
)
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.pairs import PairMerger, read_beside

NAME = "brightrun-lora-v4"
RECOGNIZED_BY = "`training_file_metadata` and `conversations[].training_pairs`"


_LONGEST_NAME = 60
_ITEM_FIELDS = frozenset({"conversation_metadata", "training_pairs"})
_FACTS = frozenset({"conversation_id", "source_file", "created_date", "total_turns", "quality_tier", "scaffolding"})


def matches(document: Json) -> bool:
    conversations = document.get("conversations")
    if not isinstance(conversations, list):
        return False
    first = conversations[0] if conversations else None
    return "training_file_metadata" in document or (isinstance(first, dict) and "training_pairs" in first)


def read(document: Json, notes: Notes) -> Iterator[Conversation]:
    read_header(document, notes)
    seen = SeenIds()
    conversations = document["conversations"]
    if not conversations:
        notes.problems.add(UnreadableRecordError("/conversations", "the list is empty: there are no conversations"))
    for index, item in enumerate(conversations):
        with notes.collecting():
            yield _conversation(item, f"/conversations/{index}", seen, notes)


def read_header(document: Json, notes: Notes) -> None:
    header = maybe_object(document, "training_file_metadata")
    notes.header.conversations = maybe_count(header, "total_conversations")
    notes.header.pairs = maybe_count(header, "total_training_pairs")
    notes.header.consultant = consultant_name(document)


def consultant_name(document: Json) -> str | None:
    """The consultant's name without titles behind a comma, in one line; None where the file names nobody."""
    name = maybe_text(maybe_object(document, "consultant_profile"), "name") or ""
    return " ".join(name.partition(",")[0].split())[:_LONGEST_NAME] or None


def merge_pairs(pairs: list[Any], place: str, name: str, notes: Notes) -> Conversation:
    """The conversation that these pairs make; `place` is the conversation's."""
    merger = PairMerger(notes)
    for index, pair in enumerate(pairs):
        where = f"{place}/training_pairs/{index}"
        merger.add(as_object(pair, where), where, name)
    return merger.conversation(name, place or "/training_pairs")


def with_scaffolding(conversation: Conversation, facts: Json) -> Conversation:
    """The conversation with what its own metadata says, which goes before what its pairs say."""
    scaffolding = maybe_object(facts, "scaffolding")
    return replace(
        conversation,
        persona=maybe_text(scaffolding, "persona_key") or conversation.persona,
        arc=maybe_text(scaffolding, "emotional_arc_key") or conversation.arc,
        topic=maybe_text(scaffolding, "training_topic_key") or conversation.topic,
        client_persona=conversation.client_persona or maybe_text(scaffolding, "persona_name"),
        stated_turns=maybe_count(facts, "total_turns"),
        quality_tier=maybe_text(facts, "quality_tier"),
    )


def _conversation(item: Any, place: str, seen: SeenIds, notes: Notes) -> Conversation:
    value = as_object(item, place)
    where = at(place, "conversation_metadata")
    facts = as_object(need(value, "conversation_metadata", place), where)
    own = need_text(facts, "conversation_id", where)
    name = seen.unused(own)
    weight = read_beside(value, _ITEM_FIELDS, place, notes) * read_beside(facts, _FACTS, where, notes)
    conversation = merge_pairs(need_list(value, "training_pairs", place), place, name, notes)
    if name != own:
        notes.add(repeated_ids.CHECK, f"{place}: {own!r:.80} is now {name!r:.80}", conversation=name)
    return with_scaffolding(weighted(conversation, weight), facts)


def weighted(conversation: Conversation, weight: float) -> Conversation:
    """The conversation whose answers count so many times more; none is offered for training where it is 0."""
    if weight == 1.0:
        return conversation
    return conversation.with_turns(
        tuple(
            replace(turn, target=turn.target and weight > 0, weight=turn.weight * (weight or 1.0))
            for turn in conversation.turns
        )
    )
