"""Turns of one side that follow one another, joined because that was asked for."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "merged_turns",
    "info",
    "Turns of one side that followed one another were joined, a blank line between them. Each merge is in the repair "
    "log.",
    "Nothing to do, if that is what is meant.",
)
