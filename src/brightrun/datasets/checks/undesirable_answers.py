"""Records whose answer the file itself calls unwanted."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "undesirable_answers",
    "warning",
    "The file marks the answers of these records as unwanted (a label that is false). They are not trained on.",
    "Nothing to do. Learning from unwanted answers, as KTO does, is not supported.",
)
