"""The records inside one JSON document: a list, a list under a key, several lists, or a table that pandas wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from brightrun.datasets.readers.chat import CONVERSATIONS, MESSAGES, is_chat
from brightrun.datasets.readers.fields import Json, Record, at
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.record_fields import is_absent, plain_name
from brightrun.errors import DatasetError

_MESSAGES = frozenset((*MESSAGES, *CONVERSATIONS))
# What tells that the items of a list so named are whole records.
_RECORD_KEYS = frozenset(("prompt", "instruction", "question", "contents", "mapping", *MESSAGES, *CONVERSATIONS))


def records_of(
    value: Any, path: Path, notes: Notes, *, is_record: Callable[[Any], bool], member: str | None = None
) -> Iterator[Record]:
    """The records of a parsed document.

    Args:
        is_record: Whether a value is one record of a known format.
        member: The archive member that was read, where `part` named it.

    Raises:
        DatasetError: it holds several lists, and which is meant is not said.
    """
    if isinstance(value, list):
        if is_chat(value) and not any(_is_row(item) for item in value):
            return iter([Record("line 1", {"messages": value})])
        return (Record(f"/{index}", _unwrapped(item)) for index, item in enumerate(value))
    if isinstance(value, dict):
        table = _table(value)
        if table is not None:
            return iter(table)
        wrapped = any(_holds_records(key, held) for key, held in value.items())
        if is_record(value) and not wrapped:
            return iter([Record("line 1", value)])
        lists = {
            key: held
            for key, held in value.items()
            if isinstance(held, list)
            and held
            and _are_records(held)
            and (plain_name(key) not in _MESSAGES or _holds_records(key, held))
        }
        if lists:
            return _under_a_key(value, lists, path, notes, member)
    return iter([Record("line 1", value)])


def _holds_records(key: str, held: Any) -> bool:
    """Whether a list is named as messages are, and holds whole conversations."""
    if plain_name(key) not in _MESSAGES or not isinstance(held, list) or not held or not isinstance(held[0], dict):
        return False
    return bool(_RECORD_KEYS & {plain_name(each) for each in held[0]})


def _under_a_key(value: Json, lists: Json, path: Path, notes: Notes, member: str | None) -> Iterator[Record]:
    part = notes.choices.part
    part = None if part == member else part
    if part is not None and part not in lists:
        raise DatasetError(
            f"{path.name} has no list {part!r:.60}; it has {_named(lists)}.", hint="Name one of them with --part."
        )
    if part is None and len(lists) > 1:
        raise DatasetError(
            f"{path.name} holds several lists: {_named(lists)}.",
            hint="Say which one is to be trained on with --part NAME; conversations for validation are drawn from it.",
            details={"parts": {key: len(held) for key, held in lists.items()}},
        )
    notes.part_taken = notes.part_taken or part is not None
    key = part or next(iter(lists))
    for other, held in value.items():
        if other != key and not is_absent(held):
            shown = f"a list of {len(held)}" if isinstance(held, list) else held
            notes.unread.add("", plain_name(other), other, shown)
    return (Record(at(f"/{key}", index), _unwrapped(item)) for index, item in enumerate(lists[key]))


def _unwrapped(item: Any) -> Any:
    """A record that a dataset viewer put into an envelope of its own."""
    if isinstance(item, dict) and "row_idx" in item and isinstance(item.get("row"), dict):
        return item["row"]
    return item


def _are_records(held: list[Any]) -> bool:
    return all(isinstance(item, dict) or is_chat(item) for item in held[:20])


def _is_row(item: Any) -> bool:
    """Whether a message says to which conversation it belongs."""
    return isinstance(item, dict) and any(plain_name(key).endswith(("conversation_id", "session_id", "thread_id"))
                                          for key in item)  # fmt: skip


def _table(value: Json) -> list[Record] | None:
    """A table as pandas writes it to JSON: columns of values by row, or rows beside their column names."""
    columns = value.get("columns")
    if isinstance(columns, list) and isinstance(value.get("data"), list) and "index" in value:
        rows = [dict(zip(map(str, columns), row, strict=False)) for row in value["data"]]
        return [Record(f"/data/{index}", row) for index, row in enumerate(rows)]
    held = list(value.values())
    if held and all(isinstance(column, dict) for column in held):
        names = list(held[0])
        if names and all(list(column) == names for column in held) and names[0].isdecimal():
            return [Record(f"row {name}", {key: value[key][name] for key in value}) for name in names]
    if held and all(isinstance(column, list) and column for column in held) and len({len(each) for each in held}) == 1:
        texts = [column for column in held if all(isinstance(cell, str) for cell in column)]
        if len(texts) >= 2:
            return [Record(f"row {index}", {key: value[key][index] for key in value}) for index in range(len(held[0]))]
    return None


def _named(lists: Json) -> str:
    return ", ".join(f"`{key}` ({len(held):,})" for key, held in lists.items())
