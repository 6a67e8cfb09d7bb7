"""A file of one brightrun-lora-v4 conversation: the envelope with `training_pairs` at its top."""

from __future__ import annotations

from collections.abc import Iterator

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import content_id
from brightrun.datasets.readers import brightrun_v4
from brightrun.datasets.readers.fields import Json, maybe_object, maybe_text, need_list
from brightrun.datasets.readers.notes import Notes

NAME = "brightrun-lora-v4-single"
RECOGNIZED_BY = "`training_pairs` beside `training_file_metadata`, `conversation_metadata` or `input_parameters`"

_ENVELOPE = ("training_file_metadata", "conversation_metadata", "input_parameters")


def matches(document: Json) -> bool:
    return "training_pairs" in document and any(key in document for key in _ENVELOPE)


def read(document: Json, notes: Notes) -> Iterator[Conversation]:
    brightrun_v4.read_header(document, notes)
    facts = maybe_object(document, "conversation_metadata")
    with notes.collecting():
        pairs = need_list(document, "training_pairs", "")
        name = maybe_text(facts, "conversation_id")
        conversation = brightrun_v4.merge_pairs(pairs, "", name or "the conversation", notes)
        if name is None:
            texts = [turn.content for turn in conversation.turns]
            conversation = brightrun_v4.merge_pairs(pairs, "", content_id(texts), notes)
        yield brightrun_v4.with_scaffolding(conversation, facts)
