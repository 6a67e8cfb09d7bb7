"""Typed access to the fields of a record, with the place named when one is missing or of another kind."""

from __future__ import annotations

from typing import Any, NamedTuple

from brightrun.datasets.blank_text import is_blank_text
from brightrun.datasets.problems import UnreadableRecordError

Json = dict[str, Any]


class Record(NamedTuple):
    """One JSON value of a file and where it stands: `line 5` in a JSONL, `/3` or "" in a JSON document."""

    place: str
    value: Any


def at(place: str, key: str | int) -> str:
    """The place of a field inside a value: a JSON pointer, behind the line where there is one."""
    gap = ", " if place.startswith("line ") and "/" not in place else ""
    return f"{place}{gap}/{key}"


def as_object(value: Any, place: str) -> Json:
    if not isinstance(value, dict):
        raise UnreadableRecordError(place or "the file", f"expected an object, found {kind(value)}")
    return value


def need(container: Json, key: str, place: str) -> Any:
    if key not in container:
        raise UnreadableRecordError(at(place, key), f"the field is missing; found {keys(container)}")
    return container[key]


def need_list(container: Json, key: str, place: str) -> list[Any]:
    value = need(container, key, place)
    if not isinstance(value, list):
        raise UnreadableRecordError(at(place, key), f"expected a list, found {kind(value)}")
    return value


def need_text(container: Json, key: str, place: str) -> str:
    """A text that shows something."""
    value = need(container, key, place)
    if isinstance(value, str) and value.isascii() and not is_blank_text(value):
        return value  # as nearly always; naming the place takes longer than reading the text
    return text_of(value, at(place, key))


def text_of(value: Any, place: str) -> str:
    """The value as a text that shows something; `place` is the value's own."""
    if not isinstance(value, str):
        raise UnreadableRecordError(place, f"expected text, found {kind(value)}")
    if is_blank_text(value):
        raise UnreadableRecordError(place, "the text is empty")
    return _encodable(value, place)


def maybe_object(container: Json, key: str) -> Json:
    """An optional object; empty where it is absent or something else."""
    value = container.get(key)
    return value if isinstance(value, dict) else {}


def maybe_text(container: Json, key: str) -> str | None:
    value = container.get(key)
    return _encodable(value, f"/{key}") if isinstance(value, str) and not is_blank_text(value) else None


def maybe_count(container: Json, key: str) -> int | None:
    value = container.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def maybe_number(container: Json, key: str) -> float | None:
    value = container.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _encodable(text: str, place: str) -> str:
    """The text, which may not hold half of a character; JSON escapes such as a lone `\\ud83d` can."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableRecordError(
            place,
            f"half of a character (\\u{ord(text[error.start]):04x}) stands at character {error.start + 1}",
            hint="Write the file again from its source; an emoji was cut in two.",
        ) from error
    return text


def kind(value: Any) -> str:
    """The name of a JSON value's kind, for a message."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def keys(container: Json) -> str:
    """The keys of an object, for a message."""
    return ", ".join(f"`{key}`" for key in list(container)[:12]) or "no keys"
