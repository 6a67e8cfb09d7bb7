"""Conversations that are almost the same: one trained on and the other held out would falsify the proof."""

from __future__ import annotations

from brightrun.datasets.findings import Finding, Tally

NAME = "near_duplicates"
EXPLANATION = (
    "These conversations share most of their words or begin with the same exchange. Each group is "
    "kept on one side of "
    "the split, so that none is tested on what it was trained on."
)
FIX = "Nothing to do for the proof; remove the copies if they came in by mistake."


def findings(groups: list[list[str]]) -> list[Finding]:
    """One example per group; the count is of conversations in groups."""
    found = Tally()
    for group in groups:
        found.add("much like " + ", ".join(group[1:6]), conversation=group[0])
        found.count += len(group) - 1
    return found.finding(NAME, "warning", EXPLANATION, FIX)
