"""Preference records of which the preferred answer is trained on, because that was asked for."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "preferred_answers",
    "warning",
    "These are preference records. The preferred answer is trained on; the rejected one is not used.",
    "Nothing to do, if that is what is meant. Learning the difference, as DPO does, is not supported.",
)
