"""Several system prompts at the beginning of one conversation."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "joined_systems",
    "info",
    "These conversations begin with several system prompts. They were joined into one, a blank line between them.",
    "Nothing to do, if that is what is meant.",
)
