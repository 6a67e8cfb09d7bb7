"""What columns and keys mean where a person says so: `--map question=prompt`."""

from __future__ import annotations

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, keys
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.record_fields import plain_name

# The field of a record that each meaning is read as.
_FIELDS = {
    "prompt": "prompt", "context": "context", "answer": "completion", "system": "system", "id": "id",
    "persona": "persona", "arc": "arc", "topic": "topic", "weight": "weight",
}  # fmt: skip


def renamed(record: Json, notes: Notes) -> Json:
    """The record with the keys that its mapping gives; a key of the meaning `ignore` goes.

    Raises:
        UnreadableRecordError: a mapped key is in no record of this shape.
    """
    mapping = notes.choices.columns
    if not mapping:
        return record
    meanings = {plain_name(key): meaning for key, meaning in mapping.items()}
    known = {plain_name(key) for key in record}
    for key, meaning in mapping.items():
        if meaning in {"prompt", "answer"} and plain_name(key) not in known:
            raise UnreadableRecordError(
                "the columns",
                f"there is no `{key}`; found {keys(record)}",
                hint="Name a column that is there.",
            )
    taken = {_FIELDS[meaning] for meaning in meanings.values() if meaning != "ignore"}
    given: Json = {}
    for key, value in record.items():
        said = meanings.get(plain_name(key))
        if said is None:
            given[f"{key} (as it was)" if plain_name(key) in taken else key] = value
        elif said != "ignore":
            given[_FIELDS[said]] = value
    return given
