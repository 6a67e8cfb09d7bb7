"""A validation file of one's own: read behind the training file, kept aside whole, and checked for overlap with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from brightrun.contract.job_spec import file_sha256
from brightrun.datasets.checks import validation_overlap
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding
from brightrun.datasets.identities import SeenIds
from brightrun.datasets.options import ReadingChoices, ReadOptions
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.repair_log import Log


class ValidationFile:
    """`ids` are its conversations' ids, once they were read; one that the training file has gets a number behind it."""

    def __init__(self, path: Path, options: ReadOptions, log: Log, choices: ReadingChoices | None = None) -> None:
        """`choices`: how its records are read; as the training file's where nothing else was decided."""
        self.path = path
        if choices is None:
            of_the_other = {"part": None, "choose": ()}
            choices = options.reading_choices().model_copy(update=of_the_other)
        self._notes = Notes(Problems(path.name), choices, log)
        self.ids: set[str] = set()

    @property
    def sha256(self) -> str:
        return file_sha256(self.path)

    def conversations(self, seen: SeenIds) -> Iterator[Conversation]:
        """The conversations, with ids that `seen` has not.

        Raises:
            DatasetError: the file cannot be used.
        """
        for conversation in open_dataset(self.path, self._notes).conversations:
            name = seen.unused(conversation.id)
            self.ids.add(name)
            yield replace(conversation, id=name, place=f"{self.path.name}, {conversation.place}")
        self._notes.refuse()

    def findings(self, groups: Iterable[Sequence[str]]) -> list[Finding]:
        """What reading told, and the near-duplicates that stand in both files."""
        across = [group for group in groups if 0 < sum(name in self.ids for name in group) < len(group)]
        return self._notes.findings() + validation_overlap.findings(across, self.ids)
