"""Conversations that the assistant opens."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "greetings",
    "info",
    "The assistant opens these conversations. Its first turn stays as context, untrained: nothing was asked.",
    "Nothing to do. Some base models' templates refuse such conversations; then remove the first turn.",
)
