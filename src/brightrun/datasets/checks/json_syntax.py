"""The file is not valid JSON. The one repair made is narrow: backslashes outside strings are removed."""

from __future__ import annotations

import re

from brightrun.datasets.checks.reading_check import ReadingCheck

NAME = "json_syntax"
EXPLANATION = (
    "The file was not valid JSON: backslashes stood outside any string, for example after a number. "
    "They were removed; nothing else was changed."
)
FIX = "Write the file again from its source with a JSON library, or keep reading it with --repair-json."
CHECK = ReadingCheck(NAME, "warning", EXPLANATION, FIX)

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def stray_backslashes(text: str) -> list[int]:
    """Positions of the backslashes that stand outside strings; in valid JSON there are none.

    What follows a quote that is never closed counts as inside.
    """
    found: list[int] = []
    start = 0
    for match in _STRING.finditer(text):
        found += _backslashes(text, start, match.start())
        start = match.end()
    unclosed = text.find('"', start)
    return found + _backslashes(text, start, len(text) if unclosed < 0 else unclosed)


def without(text: str, positions: list[int]) -> str:
    """The text without the characters at these positions (ascending)."""
    pieces, start = [], 0
    for position in positions:
        pieces.append(text[start:position])
        start = position + 1
    return "".join([*pieces, text[start:]])


def offer(strays: int) -> str:
    """The hint for a syntax error."""
    if strays:
        return (
            f"{strays} backslash{'es stand' if strays > 1 else ' stands'} outside any string; read "
            "the file with "
            "--repair-json to remove just these, each logged."
        )
    return "Fix the file at the place named, or write it again from its source with a JSON library."


def _backslashes(text: str, start: int, end: int) -> list[int]:
    found = []
    position = text.find("\\", start, end)
    while position >= 0:
        found.append(position)
        position = text.find("\\", position + 1, end)
    return found
