"""The older brightrun-lora-v3: one flat list of training pairs. A conversation begins where turns restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds, content_id
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.brightrun_v4 import consultant_name
from brightrun.datasets.readers.fields import (
    Json,
    as_object,
    maybe_count,
    maybe_object,
    maybe_text,
    need_list,
)
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.pairs import PairMerger

NAME = "brightrun-lora-v3"
RECOGNIZED_BY = "`dataset_metadata` and `training_pairs`"


def matches(document: Json) -> bool:
    return "training_pairs" in document and "dataset_metadata" in document


def read(document: Json, notes: Notes) -> Iterator[Conversation]:
    header = maybe_object(document, "dataset_metadata")
    notes.header.conversations = maybe_count(header, "total_conversations")
    notes.header.pairs = maybe_count(header, "total_training_pairs")
    notes.header.consultant = consultant_name(document)
    seen = SeenIds()
    with notes.collecting():
        pairs = need_list(document, "training_pairs", "")
        if not pairs:
            raise UnreadableRecordError("/training_pairs", "the list is empty: there are no conversations")
        for start, group in _groups(pairs):
            with notes.collecting():
                yield _conversation(group, start, seen, notes)


def _groups(pairs: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Runs of pairs with one conversation id and rising turn numbers, each with its first index."""
    start = 0
    for index in range(1, len(pairs) + 1):
        if index == len(pairs) or _starts_anew(pairs[index - 1], pairs[index]):
            yield start, pairs[start:index]
            start = index


def _starts_anew(before: Any, after: Any) -> bool:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    if before.get("conversation_id") != after.get("conversation_id"):
        return True
    earlier, later = before.get("turn_number"), after.get("turn_number")
    return isinstance(earlier, int) and isinstance(later, int) and later < earlier


def _conversation(group: list[Any], start: int, seen: SeenIds, notes: Notes) -> Conversation:
    """Inner ids are template codes and may repeat, so the content completes the name."""
    merger = PairMerger(notes)
    first = as_object(group[0], f"/training_pairs/{start}")
    code = maybe_text(first, "conversation_id")
    for index, pair in enumerate(group, start=start):
        place = f"/training_pairs/{index}"
        merger.add(as_object(pair, place), place, code or place)
    conversation = merger.conversation("", f"/training_pairs/{start}")
    name = content_id(turn.content for turn in conversation.turns)
    return replace(conversation, id=seen.unused(name if code is None else f"{code}-{name[2:10]}"))
