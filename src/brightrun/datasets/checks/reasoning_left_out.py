"""Reasoning before an answer that was left out, because that was asked for."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "reasoning_left_out",
    "warning",
    "These answers come with reasoning. It was left out: the model learns the answers alone.",
    "Nothing to do, if that is what is meant.",
)
