"""Conversations that stand in the file twice, word for word."""

from __future__ import annotations

from brightrun.datasets.findings import Finding, Tally

NAME = "duplicates"
EXPLANATION = (
    "These conversations are word for word the same. All are kept, on one side of the split, so "
    "that none is both "
    "trained on and held out; but they count double in training."
)
FIX = "Remove the copies from the file."


def findings(groups: list[list[str]]) -> list[Finding]:
    """One example per group; the count is of the copies beyond the first."""
    found = Tally()
    for group in groups:
        found.add("the same as " + ", ".join(group[1:6]), conversation=group[0])
        found.count += len(group) - 2
    return found.finding(NAME, "warning", EXPLANATION, FIX)
