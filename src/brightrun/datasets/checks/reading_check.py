"""What reading a file tells beside its conversations: each kind with its words, counted while it is read."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.datasets.findings import Finding, Severity, Tally


@dataclass(frozen=True, slots=True)
class ReadingCheck:
    """One kind of thing that a reader notices and does not refuse."""

    name: str
    severity: Severity
    explanation: str
    fix: str

    def findings(self, found: Tally) -> list[Finding]:
        return found.finding(self.name, self.severity, self.explanation, self.fix)
