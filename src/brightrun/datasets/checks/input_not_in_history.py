"""Answers whose history does not end with the client's input, as it does in all known files."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

NAME = "input_not_in_history"
EXPLANATION = (
    "The history of these answers does not end with the client's input, as it does in other files "
    "of this format. "
    "The input was put behind the history, once."
)
FIX = "Nothing to do; check one example to be sure that no client turn is missing or doubled."
CHECK = ReadingCheck(NAME, "warning", EXPLANATION, FIX)
