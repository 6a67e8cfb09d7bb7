"""Too few conversations to train on some and to keep others for validation."""

from __future__ import annotations

from brightrun.datasets.findings import Finding, FindingExample
from brightrun.errors import DatasetError

NAME = "undividable"


def findings(refused: DatasetError | None) -> list[Finding]:
    """What the split would say, as a finding."""
    if refused is None:
        return []
    return [
        Finding(
            check=NAME,
            severity="error",
            count=1,
            explanation=refused.message,
            fix=refused.hint or "",
            examples=[FindingExample(conversation=None, turn=None, detail="a division into training and validation")],
        )
    ]
