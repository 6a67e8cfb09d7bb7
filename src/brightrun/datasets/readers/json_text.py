"""JSON text to values; line, column and the line itself where it is not JSON. Offers one narrow repair."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from brightrun.datasets.checks import json_syntax
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.repair_log import RepairLogEntry

CONTEXT_CHARACTERS = 60
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_COLON = re.compile(r"\s*:")
_GAP = re.compile(r"[\s,\ufeff]*")


def parse_json(text: str, notes: Notes, *, first_line: int = 1) -> Any:
    """The value of a JSON text; repaired, and the repairs logged, if the options ask for it.

    Raises:
        UnreadableRecordError: not JSON, with `line`, `column` and `text` in its details.
    """
    try:
        return _loads(text, first_line)
    except json.JSONDecodeError as error:
        strays = json_syntax.stray_backslashes(text)
        if strays and notes.choices.repair_json:
            return _parse_repaired(text, strays, notes, first_line)
        raise _syntax_problem(text, error, first_line, len(strays)) from error
    except ValueError as error:  # a whole number of more than 4,300 digits
        raise UnreadableRecordError(f"line {first_line}", f"not usable JSON: {error}") from error
    except RecursionError as error:
        raise UnreadableRecordError(f"line {first_line}", "the JSON is nested too deeply") from error


def parse_objects_in_a_row(text: str) -> Iterator[tuple[int, Any]]:
    """The values of a text that holds one after another, printed over several lines, each with its line from 1.

    Raises:
        UnreadableRecordError: what stands there is no JSON value.
    """
    position = _GAP.match(text, 0).end()  # type: ignore[union-attr]  # it matches nothing, too
    line, counted = 1, 0
    while position < len(text):
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = _DECODER.raw_decode(text, position)
        except _DuplicateKeyError as error:
            raise _duplicate_problem(text[position:], error.key, line) from error
        except json.JSONDecodeError as error:
            raise _syntax_problem(text, error, 1, 0) from error
        yield line, value
        position = _GAP.match(text, end).end()  # type: ignore[union-attr]


def _loads(text: str, first_line: int) -> Any:
    try:
        return _DECODER.decode(text)
    except _DuplicateKeyError as error:
        raise _duplicate_problem(text, error.key, first_line) from error


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its pairs; JSON leaves open what two of one key mean, so they are refused."""
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return value


# NaN is how pandas writes a value that is missing; Infinity is no value of a text either.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=lambda _: None)


def _duplicate_problem(text: str, key: str, first_line: int) -> UnreadableRecordError:
    line, column = line_and_column(text, _second_key(text))
    line += first_line - 1
    return UnreadableRecordError(
        f"line {line}, column {column}",
        f"the key {key!r:.60} stands twice in one object; which of the two is meant cannot be known",
        hint="Remove one of the two.",
        details={"line": line, "column": column, "key": key},
    )


def _second_key(text: str) -> int:
    """Where the first key stands that its object has already; 0 where there is none."""
    objects: list[set[str] | None] = []
    for match in _TOKEN.finditer(text):
        found = match.group()
        if found in "{[":
            objects.append(set() if found == "{" else None)
        elif found in "}]":
            if objects:
                objects.pop()
        elif objects and objects[-1] is not None and _COLON.match(text, match.end()):
            name = json.loads(found, strict=False)
            if name in objects[-1]:
                return match.start()
            objects[-1].add(name)
    return 0


def _parse_repaired(text: str, strays: list[int], notes: Notes, first_line: int) -> Any:
    try:
        value = _loads(json_syntax.without(text, strays), first_line)
    except json.JSONDecodeError as error:
        raise _syntax_problem(json_syntax.without(text, strays), error, first_line, 0, after_repair=True) from error
    for position in strays:
        line, column = line_and_column(text, position)
        line += first_line - 1
        notes.add(json_syntax.CHECK, f"line {line}, column {column}: removed a backslash outside any string")
        notes.log(
            RepairLogEntry(
                kind="json_repair",
                check=json_syntax.NAME,
                reason="removed a backslash outside any string",
                line=line,
                column=column,
            )
        )
    return value


def _syntax_problem(
    text: str, error: json.JSONDecodeError, first_line: int, strays: int, *, after_repair: bool = False
) -> UnreadableRecordError:
    line, column = line_and_column(text, error.pos)
    shown = offending_line(text, error.pos)
    line += first_line - 1
    still = " (after removing stray backslashes)" if after_repair else ""
    return UnreadableRecordError(
        f"line {line}, column {column}",
        f"not valid JSON{still}: {error.msg[0].lower()}{error.msg[1:]}: {shown}",
        hint=json_syntax.offer(strays),
        details={"line": line, "column": column, "text": shown, "stray_backslashes": strays},
    )


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Both from 1; columns in characters."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def offending_line(text: str, position: int) -> str:
    """The line around a position, clipped to about 120 characters."""
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    left, right = max(begin, position - CONTEXT_CHARACTERS), min(end, position + CONTEXT_CHARACTERS)
    return ("…" if left > begin else "") + text[left:right].rstrip("\r") + ("…" if right < end else "")
