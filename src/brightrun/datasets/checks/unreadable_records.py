"""Records that cannot be read, left out because that was asked for."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "unreadable_records",
    "warning",
    "These records cannot be read and were left out, each in the repair log.",
    "Fix the records at the places named and give the file again to have them, too.",
)
