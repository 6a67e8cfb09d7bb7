"""From a file of conversations to the folder a job trains from: sides, audit, split, repair log, or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.job_spec import file_sha256
from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.durable import sync, write_durably
from brightrun.datasets.examined import REPAIR_LOG, ExaminedDataset, examine_dataset
from brightrun.datasets.new_folder import check_folder, new_folder, scratch_folder
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.split import Split, SplitCandidate, split_as_given, split_conversations
from brightrun.errors import DatasetError
from brightrun.templating.chat_model import ChatModel

TRAIN, VALIDATION, AUDIT, SPLIT = "train.jsonl", "validation.jsonl", "audit.json", "split.json"
FILES = frozenset({TRAIN, VALIDATION, AUDIT, SPLIT, REPAIR_LOG})
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


def prepare_dataset(  # noqa: PLR0913 - each is a choice of its own
    path: Path,
    out: Path,
    *,
    chat: ChatModel,
    options: ReadOptions,
    validation_fraction: float,
    seed: int,
    previous: Split | None = None,
    validation_file: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedDataset:
    """Audit, fix and split a file into the folder `out`, which appears whole or not at all.

    Args:
        out: A new folder, an empty one, or one that an earlier preparation wrote (it is replaced).
        previous: A split to keep: its conversations stay on their sides.
        validation_file: A validation file of one's own: its conversations, and no others, are kept for validation.

    Raises:
        DatasetError: the file is unusable or refused; `details["findings"]` says why.
        RunFolderError: the folder holds something else.
        NotEnoughDisk: the disk is full.
    """
    check_folder(out, FILES, "a prepared dataset")
    with scratch_folder(out) as scratch:
        examined = examine_dataset(
            path, scratch / "examined", chat=chat, options=options, validation_file=validation_file, progress=progress
        )
        return divide_dataset(
            examined, out, source_name=path.name, validation_fraction=validation_fraction, seed=seed, previous=previous
        )


def divide_dataset(
    examined: ExaminedDataset,
    out: Path,
    *,
    source_name: str,
    validation_fraction: float,
    seed: int,
    previous: Split | None = None,
    validation_name: str | None = None,
) -> PreparedDataset:
    """Split what was examined into the folder `out`, as `prepare_dataset`; encodes nothing and raises the same.

    `source_name` and `validation_name` are what the files are called now; the latter where one was examined, too.
    """
    check_folder(out, FILES, "a prepared dataset")
    called = {"file_name": source_name} | ({} if validation_name is None else {"validation_file": validation_name})
    audit = examined.audit.model_copy(update=called)
    _refuse(audit)
    split = _split(examined, validation_fraction=validation_fraction, seed=seed, previous=previous)
    with new_folder(out) as folder:
        partitions = _write_partitions(folder, split, examined)
        _copy(examined.repair_log, folder / REPAIR_LOG)
        write_durably(folder / AUDIT, audit.model_dump_json(indent=2) + "\n")
        write_durably(folder / SPLIT, split.model_dump_json(indent=2) + "\n")
        hashes = {name: file_sha256(folder / name) for name in (TRAIN, VALIDATION)}
    return PreparedDataset(
        folder=out,
        source_name=source_name,
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


def _split(examined: ExaminedDataset, *, validation_fraction: float, seed: int, previous: Split | None) -> Split:
    candidates = (SplitCandidate(each.id, each.persona, each.arc) for each in examined.conversations())
    if examined.audit.validation_file is not None:
        validation = frozenset(each.id for each in examined.conversations() if each.for_validation)
        return split_as_given(
            candidates, validation, validation_fraction=validation_fraction, seed=seed, left_out=examined.left_out
        )
    return split_conversations(
        candidates,
        validation_fraction=validation_fraction,
        seed=seed,
        groups=examined.groups,
        previous=previous,
        left_out=examined.left_out,
    )


def _write_partitions(folder: Path, split: Split, examined: ExaminedDataset) -> dict[str, PartitionCounts]:
    """Deal the conversations out to the two sides, in the file's order, and count what each has."""
    validation = frozenset(split.validation)
    counts = {TRAIN: [0, 0, 0], VALIDATION: [0, 0, 0]}
    with (
        examined.path.open("rb") as lines,
        (folder / TRAIN).open("wb") as train,
        (folder / VALIDATION).open("wb") as validation_stream,
    ):
        files = {TRAIN: train, VALIDATION: validation_stream}
        for line, conversation in zip(lines, examined.conversations(), strict=True):
            partition = VALIDATION if conversation.id in validation else TRAIN
            files[partition].write(line)
            more = (1, len(conversation.answer_spans), conversation.trained_tokens)
            counts[partition] = [total + added for total, added in zip(counts[partition], more, strict=True)]
        sync(train)
        sync(validation_stream)
    return {
        partition: PartitionCounts(conversations=conversations, answers=answers, trained_tokens=trained)
        for partition, (conversations, answers, trained) in counts.items()
    }


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as given, target.open("wb") as stream:
        shutil.copyfileobj(given, stream)
        sync(stream)


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
