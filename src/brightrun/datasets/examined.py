"""A dataset after its one examination: repaired, checked, counted with a tokenizer, and written so that it can be kept.

What is left to do for a run (drawing the split, dealing the conversations out) reads no text and encodes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.job_spec import file_sha256
from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.durable import sync, write_durably
from brightrun.datasets.encoded_lengths import EncodedLengths
from brightrun.datasets.examination import Examination
from brightrun.datasets.look_ahead import AUTOMATIC, LookAhead
from brightrun.datasets.new_folder import new_folder
from brightrun.datasets.options import ReadingChoices, ReadOptions
from brightrun.datasets.prepared import PreparedConversation, PreparedMessage
from brightrun.datasets.repair_log import RepairLogEntry
from brightrun.templating.chat_model import ChatModel

CONVERSATIONS, LENGTHS, REPAIR_LOG = "conversations.jsonl", "lengths.jsonl", "repair_log.jsonl"
EXAMINED = "examined.json"


class ExaminedConversation(BaseModel):
    """A conversation that can be trained on, in tokens; `answer_spans` are half-open, one for each trained answer.

    `sequence_starts` has more than (0,) where the template makes several sequences of it (see `EncodedConversation`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    persona: str | None
    arc: str | None
    tokens: int
    answer_spans: tuple[tuple[int, int], ...]
    sequence_starts: tuple[int, ...] = (0,)
    for_validation: bool = Field(default=False, description="It came in a validation file of its own.")

    @property
    def trained_tokens(self) -> int:
        return sum(end - start for start, end in self.answer_spans)


class ExaminedDataset(BaseModel):
    """A folder with every conversation that can be trained on, in the file's order, and what is known of them together.

    The audit may have refused the dataset. `groups` are the ids of near-duplicates, `left_out` those with nothing to
    train on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(Path(), exclude=True)
    audit: AuditReport
    left_out: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    hashes: dict[str, str] = Field(description="sha256 of the folder's files by name.")

    @property
    def path(self) -> Path:
        """The prepared conversations, one JSON line each."""
        return self.folder / CONVERSATIONS

    @property
    def repair_log(self) -> Path:
        return self.folder / REPAIR_LOG

    def conversations(self) -> Iterator[ExaminedConversation]:
        """In the order of `path`, read one at a time: a dataset may have a million."""
        with (self.folder / LENGTHS).open("rb") as lines:
            for line in lines:
                yield ExaminedConversation.model_validate_json(line)


def examine_dataset(
    path: Path,
    out: Path,
    *,
    chat: ChatModel,
    options: ReadOptions,
    validation_file: Path | None = None,
    validation_choices: ReadingChoices | None = None,
    progress: Callable[[int, int], None] | None = None,
    ahead: LookAhead = AUTOMATIC,
) -> ExaminedDataset:
    """Read a file once, into the folder `out`, which appears whole or not at all; `validation_file` behind it.

    `validation_choices` say how the records of that one are read; as the first one's where nothing else was decided.
    `ahead` decides how many processes encode; what is written does not depend on it.

    Raises:
        DatasetError: the file cannot be read as conversations. One that its audit refuses is examined all the same.
        NotEnoughDisk: the disk is full.
    """
    left_out: list[str] = []
    with new_folder(out) as folder:
        with (
            (folder / REPAIR_LOG).open("wb") as repair_log,
            (folder / CONVERSATIONS).open("wb") as kept,
            (folder / LENGTHS).open("wb") as lengths,
        ):
            examination = Examination(
                path,
                chat,
                options,
                log=lambda entry: _write_entry(repair_log, entry),
                progress=progress,
                validation_file=validation_file,
                validation_choices=validation_choices,
                ahead=ahead,
            )
            with closing(examination.conversations()) as conversations:
                for looked in conversations:
                    conversation, encoded = looked.conversation, looked.encoded
                    if not looked.kept or encoded is None:
                        left_out.append(conversation.id)
                        continue
                    kept.write(_prepared(conversation).model_dump_json().encode() + b"\n")
                    row = _examined(conversation, encoded, for_validation=looked.for_validation)
                    lengths.write(row.model_dump_json().encode() + b"\n")
            for stream in (repair_log, kept, lengths):
                sync(stream)
        examined = ExaminedDataset(
            folder=out,
            audit=examination.report(),
            left_out=tuple(left_out),
            groups=tuple(map(tuple, examination.groups.together)),
            hashes={name: file_sha256(folder / name) for name in (CONVERSATIONS, LENGTHS, REPAIR_LOG)},
        )
        write_durably(folder / EXAMINED, examined.model_dump_json() + "\n")
    return examined


def read_examined(folder: Path) -> ExaminedDataset | None:
    """What `examine_dataset` wrote into the folder; None where it is not there, not whole, or was changed since."""
    try:
        examined = ExaminedDataset.model_validate_json((folder / EXAMINED).read_bytes())
        changed = any(file_sha256(folder / name) != digest for name, digest in examined.hashes.items())
    except (OSError, ValueError):
        return None
    return None if changed else examined.model_copy(update={"folder": folder})


def _examined(conversation: Conversation, encoded: EncodedLengths, *, for_validation: bool) -> ExaminedConversation:
    return ExaminedConversation(
        id=conversation.id,
        persona=conversation.persona,
        arc=conversation.arc,
        tokens=encoded.tokens,
        answer_spans=encoded.answer_spans,
        sequence_starts=encoded.sequence_starts,
        for_validation=for_validation,
    )


def _prepared(conversation: Conversation) -> PreparedConversation:
    return PreparedConversation(
        id=conversation.id,
        persona=conversation.persona,
        arc=conversation.arc,
        topic=conversation.topic,
        messages=[PreparedMessage.of(message) for message in conversation.messages()],
        tools=conversation.tools,
    )


def _write_entry(repair_log: BinaryIO, entry: RepairLogEntry) -> None:
    repair_log.write(entry.model_dump_json(exclude_none=True).encode() + b"\n")
