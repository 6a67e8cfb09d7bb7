"""What readers tell beside conversations: header counts, oddities of the file, and what makes it unusable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from brightrun.datasets.findings import Tally
from brightrun.datasets.problems import Problems, UnreadableRecordError
from brightrun.datasets.repair_log import Log, discard


@dataclass(slots=True)
class FileHeader:
    """What the file says of itself; absent is not known. `pairs` counts all turns in real files."""

    conversations: int | None = None
    pairs: int | None = None


@dataclass(slots=True)
class Notes:
    """Gathered while a file is read; complete when its last conversation was yielded."""

    problems: Problems
    repair_json: bool = False
    log: Log = discard
    header: FileHeader = field(default_factory=FileHeader)
    json_repairs: Tally = field(default_factory=Tally)
    input_not_in_history: Tally = field(default_factory=Tally)
    answers_only: bool = False  # the format has lines for answers only, so a last client turn is not in it

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Turn an unreadable record into a problem of the file and go on with the next."""
        try:
            yield
        except UnreadableRecordError as problem:
            self.problems.add(problem)
