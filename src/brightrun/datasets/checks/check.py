"""What the audit asks of a check: look at every conversation once, report at the end. Knows no check."""

from __future__ import annotations

from typing import Protocol

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding


class Check(Protocol):
    """Looks and counts; changes nothing."""

    def inspect(self, conversation: Conversation) -> None: ...

    def findings(self) -> list[Finding]: ...


class RepairCheck(Protocol):
    """Repairs or quarantines, logging each act, and returns the conversation as it is afterwards."""

    def fix(self, conversation: Conversation) -> Conversation: ...

    def findings(self) -> list[Finding]: ...
