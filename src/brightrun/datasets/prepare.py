"""From a file of conversations to the folder a job trains from: sides, audit, split, ledger, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.job_spec import file_sha256
from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.examination import Examination
from brightrun.datasets.new_folder import check_folder, new_folder
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.prepared import PreparedConversation, PreparedMessage, read_prepared
from brightrun.datasets.repair_log import RepairLogEntry
from brightrun.datasets.split import Split, SplitCandidate, split_conversations
from brightrun.errors import DatasetError
from brightrun.templating.chat_model import ChatModel

TRAIN, VALIDATION, AUDIT, SPLIT, REPAIR_LOG = (
    "train.jsonl",
    "validation.jsonl",
    "audit.json",
    "split.json",
    "repair_log.jsonl",
)
FILES = frozenset({TRAIN, VALIDATION, AUDIT, SPLIT, REPAIR_LOG})
_ALL = "all.jsonl"
_NAMED = 20


class PartitionCounts(BaseModel):
    """What one side of the split holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conversations: int
    answers: int
    trained_tokens: int


class PreparedDataset(BaseModel):
    """A prepared folder and everything a job must know of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    source_name: str = Field(description="File name without folder.")
    source_sha256: str
    train_path: Path
    train_sha256: str
    train: PartitionCounts
    validation_path: Path
    validation_sha256: str
    validation: PartitionCounts
    split_sha256: str
    audit: AuditReport
    split: Split


def prepare_dataset(
    path: Path,
    out: Path,
    *,
    chat: ChatModel,
    options: ReadOptions,
    validation_fraction: float,
    seed: int,
    previous: Split | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedDataset:
    """Audit, mend and split a file into the folder `out`, which appears whole or not at all.

    Args:
        out: A new folder, an empty one, or one that an earlier preparation wrote (it is replaced).
        previous: A split to keep: its conversations stay on their sides.

    Raises:
        DatasetError: the file is unusable or refused; `details["findings"]` says why.
        RunFolderError: the folder holds something else.
        NotEnoughDisk: the disk is full.
    """
    check_folder(out, FILES, "a prepared dataset")
    with new_folder(out) as folder:
        audit, contents = _write_all(path, folder, chat, options, progress)
        split = split_conversations(
            contents.candidates,
            validation_fraction=validation_fraction,
            seed=seed,
            groups=contents.groups,
            previous=previous,
            left_out=contents.left_out,
        )
        partitions = _write_partitions(folder, split, contents.trained_tokens)
        _write(folder / AUDIT, audit.model_dump_json(indent=2) + "\n")
        _write(folder / SPLIT, split.model_dump_json(indent=2) + "\n")
        hashes = {name: file_sha256(folder / name) for name in (TRAIN, VALIDATION)}
    return PreparedDataset(
        folder=out,
        source_name=path.name,
        source_sha256=audit.sha256,
        train_path=out / TRAIN,
        train_sha256=hashes[TRAIN],
        train=partitions[TRAIN],
        validation_path=out / VALIDATION,
        validation_sha256=hashes[VALIDATION],
        validation=partitions[VALIDATION],
        split_sha256=split.sha256(),
        audit=audit,
        split=split,
    )


@dataclass(slots=True)
class _Contents:
    """What the split needs of the conversations that were written."""

    candidates: list[SplitCandidate] = field(default_factory=list)
    trained_tokens: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)


def _write_all(
    path: Path,
    folder: Path,
    chat: ChatModel,
    options: ReadOptions,
    progress: Callable[[int, int], None] | None,
) -> tuple[AuditReport, _Contents]:
    """One pass over the file: every kept conversation into `all.jsonl`, every act into the ledger."""
    contents = _Contents()
    with (folder / REPAIR_LOG).open("wb") as repair_log, (folder / _ALL).open("wb") as kept:
        examination = Examination(
            path, chat, options, log=lambda entry: _write_entry(repair_log, entry), progress=progress
        )
        for conversation, is_kept, trained_tokens in examination.conversations():
            if not is_kept:
                contents.left_out.append(conversation.id)
                continue
            kept.write(_line(_prepared(conversation)))
            contents.candidates.append(SplitCandidate(conversation.id, conversation.persona, conversation.arc))
            contents.trained_tokens.append(trained_tokens)
        _sync(repair_log)
    audit = examination.report()
    _refuse(audit)
    contents.groups = examination.groups.together
    return audit, contents


def _write_partitions(folder: Path, split: Split, trained_tokens: list[int]) -> dict[str, PartitionCounts]:
    """Deal `all.jsonl` out to the two sides, in the file's order, and count what each has."""
    validation = frozenset(split.validation)
    counts = {TRAIN: [0, 0, 0], VALIDATION: [0, 0, 0]}
    with (folder / TRAIN).open("wb") as train, (folder / VALIDATION).open("wb") as validation_stream:
        files = {TRAIN: train, VALIDATION: validation_stream}
        for conversation, trained in zip(read_prepared(folder / _ALL), trained_tokens, strict=True):
            partition = VALIDATION if conversation.id in validation else TRAIN
            files[partition].write(_line(conversation))
            answers = sum(message.trained for message in conversation.messages)
            counts[partition] = [
                total + more for total, more in zip(counts[partition], (1, answers, trained), strict=True)
            ]
        _sync(train)
        _sync(validation_stream)
    (folder / _ALL).unlink()
    return {
        partition: PartitionCounts(conversations=conversations, answers=answers, trained_tokens=trained)
        for partition, (conversations, answers, trained) in counts.items()
    }


def _refuse(audit: AuditReport) -> None:
    errors = [finding for finding in audit.findings if finding.severity == "error"]
    if not errors:
        return
    first = errors[0]
    named = "; ".join(
        f"{example.conversation}: {example.detail}" if example.conversation else example.detail
        for example in first.examples[:_NAMED]
    )
    more = f" (and {first.count - _NAMED} more)" if first.count > _NAMED else ""
    raise DatasetError(
        f"{audit.file_name} was refused: {first.explanation} {named}{more}",
        hint=first.fix,
        details={"findings": [finding.model_dump(mode="json") for finding in errors]},
    )


def _prepared(conversation: Conversation) -> PreparedConversation:
    return PreparedConversation(
        id=conversation.id,
        persona=conversation.persona,
        arc=conversation.arc,
        topic=conversation.topic,
        messages=[
            PreparedMessage(role=message.role, content=message.content, trained=message.trained)
            for message in conversation.messages()
        ],
    )


def _write_entry(repair_log: BinaryIO, entry: RepairLogEntry) -> None:
    repair_log.write(entry.model_dump_json(exclude_none=True).encode() + b"\n")


def _line(conversation: PreparedConversation) -> bytes:
    return conversation.model_dump_json().encode() + b"\n"


def _write(path: Path, text: str) -> None:
    with path.open("wb") as stream:
        stream.write(text.encode("utf-8"))
        _sync(stream)


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
