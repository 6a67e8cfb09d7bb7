"""JSON text to values; line, column and the line itself where it is not JSON. Offers one narrow repair."""

from __future__ import annotations

import json
from typing import Any

from brightrun.datasets.checks import json_syntax
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.repair_log import RepairLogEntry

CONTEXT_CHARACTERS = 60


def parse_json(text: str, notes: Notes, *, first_line: int = 1) -> Any:
    """The value of a JSON text; repaired, and the repairs logged, if the options ask for it.

    Raises:
        UnreadableRecordError: not JSON, with `line`, `column` and `text` in its details.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        strays = json_syntax.stray_backslashes(text)
        if strays and notes.repair_json:
            return _parse_repaired(text, strays, notes, first_line)
        raise _syntax_problem(text, error, first_line, len(strays)) from error
    except ValueError as error:  # a whole number of more than 4,300 digits
        raise UnreadableRecordError(f"line {first_line}", f"not usable JSON: {error}") from error
    except RecursionError as error:
        raise UnreadableRecordError(f"line {first_line}", "the JSON is nested too deeply") from error


def _parse_repaired(text: str, strays: list[int], notes: Notes, first_line: int) -> Any:
    try:
        value = json.loads(json_syntax.without(text, strays))
    except json.JSONDecodeError as error:
        raise _syntax_problem(json_syntax.without(text, strays), error, first_line, 0, after_repair=True) from error
    for position in strays:
        line, column = line_and_column(text, position)
        line += first_line - 1
        notes.json_repairs.add(f"line {line}, column {column}: removed a backslash outside any string")
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
