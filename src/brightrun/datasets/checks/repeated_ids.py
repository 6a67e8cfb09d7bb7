"""An id that several conversations have."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "repeated_ids",
    "info",
    "The ids of these conversations were used before in the file, as the ids of sessions or clients are. A number was "
    "put behind each, so that every conversation has its own.",
    "Nothing to do. With ids of its own, a conversation stays on its side of the split when others are added.",
)
