"""The fields of a record whatever their spelling, and which of them nobody has read yet."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, NamedTuple

from brightrun.datasets.blank_text import is_blank_text
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Json, at, kind, text_of

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GAP = re.compile(r"[\s\-_.]+")


class Field(NamedTuple):
    """A field that is there: its key as the file spells it, what it holds, and its place."""

    key: str
    value: Any
    place: str


class RecordFields:
    """The fields of one object by their plain names (`Tool-Calls` and `toolCalls` are `tool_calls`).

    A field that holds null, NaN, a blank text, an empty list or object is not there. What was taken is not `left`.
    """

    def __init__(self, value: Json, place: str) -> None:
        """Raises UnreadableRecordError where two keys have one plain name and both hold something."""
        self.place = place
        self._left: dict[str, tuple[str, Any]] = {}
        for key, held in value.items():
            if is_absent(held):
                continue
            name = plain_name(key)
            if name in self._left:
                raise UnreadableRecordError(
                    at(place, key), f"the keys `{self._left[name][0]}` and `{key}` are one field, and both are filled"
                )
            self._left[name] = (key, held)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of these fields is there."""
        return not names.isdisjoint(self._left)

    def peek(self, name: str) -> Any:
        """What the field holds, without taking it; None where it is not there."""
        return self._left.get(name, ("", None))[1]

    def take(self, *names: str) -> Field | None:
        """The first of these fields that is there."""
        for name in names:
            if name in self._left:
                key, value = self._left.pop(name)
                return Field(key, value, at(self.place, key))
        return None

    def take_text(self, *names: str) -> Field | None:
        """The first of these fields that is there, which must be text.

        Raises:
            UnreadableRecordError: it is something else.
        """
        field = self.take(*names)
        if field is None:
            return None
        return field._replace(value=text_of(field.value, field.place))

    def take_label(self, *names: str) -> str | None:
        """The first of these fields that is a text or a whole number, as text. Others stay."""
        for name in names:
            value = self.peek(name)
            if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
                self.take(name)
                return str(value)
        return None

    def need(self, *names: str) -> Field:
        """As `take`.

        Raises:
            UnreadableRecordError: none of them is there.
        """
        field = self.take(*names)
        if field is None:
            found = ", ".join(f"`{key}`" for key, _ in list(self._left.values())[:12]) or "no other keys"
            raise UnreadableRecordError(at(self.place, names[0]), f"the field is missing or empty; found {found}")
        return field

    def need_list(self, *names: str) -> Field:
        """As `need`; what it holds must be a list, or the JSON text of one.

        Raises:
            UnreadableRecordError
        """
        field = self.need(*names)
        if not isinstance(field.value, list):
            raise UnreadableRecordError(field.place, f"expected a list, found {kind(field.value)}")
        return field

    def left(self) -> list[tuple[str, str, Any]]:
        """What nobody took: plain name, key and value of each."""
        return [(name, key, value) for name, (key, value) in self._left.items()]


def is_absent(value: Any) -> bool:
    """Whether a value says nothing: exports write columns that a record does not have as null."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, str):
        return is_blank_text(value)
    return isinstance(value, list | dict) and not value


@lru_cache(maxsize=4096)
def plain_name(key: str) -> str:
    """A key in lower case with underscores, whatever its spelling was."""
    return _GAP.sub("_", _HUMP.sub("_", key.strip().lstrip("\ufeff"))).strip("_").casefold()
