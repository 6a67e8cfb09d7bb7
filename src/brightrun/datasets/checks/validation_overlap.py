"""Conversations of a validation file that are near-duplicates of ones that are trained on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from brightrun.datasets.findings import Finding, Tally

NAME = "validation_overlap"
EXPLANATION = (
    "These conversations of the validation file are near-duplicates of ones in the training file. Validation would "
    "praise what was memorized, so the files are refused together."
)
FIX = "Remove each from one of the two files."
_NAMED = 200


def findings(across: Iterable[Sequence[str]], validation: Collection[str]) -> list[Finding]:
    """`across`: groups of ids that have members in both files."""
    found = Tally(shown=_NAMED)
    for group in across:
        trained = next(name for name in group if name not in validation)
        for name in group:
            if name in validation:
                found.add(f"is much like {trained} of the training file", conversation=name)
    return found.finding(NAME, "error", EXPLANATION, FIX)
