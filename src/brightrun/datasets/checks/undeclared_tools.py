"""Calls of tools that the conversation does not list."""

from __future__ import annotations

from brightrun.datasets.checks.reading_check import ReadingCheck

CHECK = ReadingCheck(
    "undeclared_tools",
    "warning",
    "These conversations call tools that they do not list. The model learns to call what it was never offered.",
    "List the tools of each conversation as `tools`, with their names and parameters.",
)
