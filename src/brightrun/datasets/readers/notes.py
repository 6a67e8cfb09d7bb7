"""What readers tell beside conversations: header counts, oddities of the file, and what makes it unusable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from brightrun.datasets.acts import Acts
from brightrun.datasets.checks import unreadable_records
from brightrun.datasets.checks.reading_check import ReadingCheck
from brightrun.datasets.checks.unread_fields import UnreadFields
from brightrun.datasets.findings import Finding, Tally
from brightrun.datasets.options import AS_WRITTEN, ReadingChoices
from brightrun.datasets.problems import Problems, UnreadableRecordError
from brightrun.datasets.readers.fields import Record
from brightrun.datasets.readers.first_rows import FIRST_ROWS, shown_row
from brightrun.datasets.repair_log import Log, RepairLogEntry, discard


@dataclass(slots=True)
class FileHeader:
    """What the file says of itself; absent is not known. `pairs` counts all turns in real files."""

    conversations: int | None = None
    pairs: int | None = None
    consultant: str | None = None


@dataclass(slots=True)
class Notes:
    """Gathered while a file is read; complete when its last conversation was yielded."""

    problems: Problems
    choices: ReadingChoices = AS_WRITTEN
    log: Log = discard
    acts: Acts = field(default_factory=Acts)
    header: FileHeader = field(default_factory=FileHeader)
    unread: UnreadFields = field(default_factory=UnreadFields)
    columns: dict[str, str] = field(default_factory=dict)  # what each column was read as
    first_rows: list[dict[str, Any]] = field(default_factory=list)  # of a file of records, for looking at
    read: int = 0  # conversations that were yielded
    part_taken: bool = False  # whether there was a list, a sheet or a member for the choice `part` to name
    answers_only: bool = False  # the format has lines for answers only, so a last client turn is not in it
    _found: dict[ReadingCheck, Tally] = field(default_factory=dict)

    def add(
        self, check: ReadingCheck, detail: str, *, conversation: str | None = None, turn: int | None = None
    ) -> None:
        """Count something that is read and told."""
        self.acts.do(lambda: self._found.setdefault(check, Tally()).add(detail, conversation=conversation, turn=turn))

    def found(self, check: ReadingCheck) -> int:
        """How often."""
        return self._found[check].count if check in self._found else 0

    def findings(self) -> list[Finding]:
        """Everything that reading told so far."""
        found = [finding for check, tally in self._found.items() for finding in check.findings(tally)]
        return found + self.unread.findings()

    def take_findings(self) -> list[Finding]:
        """What reading told since the last call."""
        found = self.findings()
        self._found, self.unread = {}, UnreadFields()
        return found

    def remembering(self, records: Iterator[Record]) -> Iterator[Record]:
        """The records, of which the first few rows are kept for looking at."""
        for record in records:
            if len(self.first_rows) < FIRST_ROWS and isinstance(record.value, dict) and "_meta" not in record.value:
                self.first_rows.append(shown_row(record.value))
            yield record

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Turn an unreadable record into a problem of the file, or leave it out, and go on with the next."""
        try:
            yield
        except UnreadableRecordError as problem:
            self.leave_out(problem)

    def leave_out(self, problem: UnreadableRecordError, conversation: str | None = None) -> None:
        """Remember what cannot be read; where that was chosen, it is left out and logged."""
        self.acts.do(lambda: self.problems.add(problem))
        if self.choices.unreadable == "leave_out":
            check = unreadable_records.CHECK
            reason = f"{problem.place}: {problem.problem}"
            self.add(check, reason, conversation=conversation)
            self.log(RepairLogEntry(kind="left_out", check=check.name, reason=reason, conversation=conversation))

    def refuse(self) -> None:
        """Raise DatasetError where what could not be read makes the file unusable."""
        self.problems.refuse(self.read, leave_out=self.choices.unreadable == "leave_out")
