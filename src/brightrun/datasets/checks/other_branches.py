"""Versions of a conversation that its writer went back from."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "other_branches",
    "info",
    "Messages of these conversations were edited or answered anew. Only the branch that was last shown is read.",
    "Nothing to do.",
)
