"""Answers that count more or less than others, because the file says so."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "weighted_answers",
    "info",
    "These conversations give their answers weights other than 1. In training an answer of weight 2 counts twice; the "
    "validation loss counts every answer alike.",
    "Nothing to do, if that is what is meant.",
)
