"""The JSONL of brightrun-lora-v4: one line per answer, a conversation's lines one after another. One
conversation is held in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Record, as_object, need_text
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.pairs import PairMerger
from brightrun.datasets.readers.record_fields import RecordFields

NAME = "brightrun-lora-v4-jsonl"
RECOGNIZED_BY = "lines with `conversation_history`, `current_user_input` and `target_response`"


_KEYS = ("conversation_history", "current_user_input", "target_response")


def matches(fields: RecordFields) -> bool:
    return sum(key in fields for key in _KEYS) >= 2


def read(records: Iterator[Record], notes: Notes) -> Iterator[Conversation]:
    notes.answers_only = True
    seen = SeenIds()
    for name, lines in groupby(_named(records, notes), key=lambda named: named[0]):
        with notes.collecting():
            yield _conversation(name, (record for _, record in lines), seen, notes)


def _named(records: Iterator[Record], notes: Notes) -> Iterator[tuple[str, Record]]:
    """Every line with its conversation's id; a line without one is a problem."""
    for record in records:
        with notes.collecting():
            yield need_text(as_object(record.value, record.place), "conversation_id", record.place), record


def _conversation(name: str, lines: Iterator[Record], seen: SeenIds, notes: Notes) -> Conversation:
    merger, place = PairMerger(notes), ""
    for record in lines:
        if not place and not seen.add(name):
            raise UnreadableRecordError(
                record.place,
                f"conversation {name!r:.80} comes back after another one: the id stands twice, or its lines are apart",
                hint=("Put the lines of a conversation one after another, and give every conversation its own id."),
            )
        place = place or record.place
        merger.add(record.value, record.place, name)
    return merger.conversation(name, place)
