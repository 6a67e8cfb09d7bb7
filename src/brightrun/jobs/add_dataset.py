"""A file of conversations comes in: audited, stored under its hash. Or goes, if no job was made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.orm import Session

from brightrun.contract.job_spec import canonical_sha256, file_sha256
from brightrun.database import files
from brightrun.database.tables import TrainingFile
from brightrun.datasets.options import AS_WRITTEN, ReadingChoices, ReadOptions
from brightrun.datasets.readers.file_text import Progress
from brightrun.errors import NotFound
from brightrun.jobs.examine_once import examine_once, forget_examined
from brightrun.jobs.ownership import owned_file
from brightrun.jobs.studio import Studio
from brightrun.templating.llama3 import llama3_chat_model


def add_dataset(
    studio: Studio,
    *,
    owner_id: str,
    file_name: str,
    source: Path,
    choices: ReadingChoices = AS_WRITTEN,
    progress: Progress | None = None,
) -> TrainingFile:
    """Store a file and its audit; the same bytes of the same owner, read the same way, are the same dataset.

    A refused dataset is stored too, with its audit, so that its owner can read why.

    Args:
        choices: How its records are read, in every job that is made of it.
        progress: Called with bytes audited and bytes in all.

    Raises:
        DatasetError: the file is no dataset at all (its audit could not be made); nothing is kept.
        StorageError, NotEnoughDisk
    """
    sha256 = file_sha256(source)
    with studio.database.reading() as session:
        known = _find_same(session, owner_id, sha256, choices)
    if known is not None:
        return known
    examined = examine_once(
        studio, sha256, llama3_chat_model(), ReadOptions(**dict(choices)), source=lambda _: source, progress=progress
    )
    audit = examined.audit
    reading = "" if choices == AS_WRITTEN else f"-{canonical_sha256(choices.model_dump(mode='json'))[:16]}"
    key = f"training_files/{owner_id}/{sha256}{reading}"
    stored = studio.storage.put(key, source, sha256=sha256)
    row = TrainingFile(
        owner_id=owner_id,
        file_name=file_name,
        sha256=sha256,
        bytes=stored.bytes,
        format=audit.format,
        storage_path=key,
        audit=audit.model_copy(update={"file_name": file_name}).model_dump(mode="json"),
        conversations=audit.conversations,
        answers=audit.trainable,
        tokens=audit.tokens,
        created_at=studio.clock(),
    )
    with studio.database.session() as session:
        return _find_same(session, owner_id, sha256, choices) or files.add(session, row)


def read_again(studio: Studio, *, owner_id: str, file_id: str, changes: Mapping[str, Any]) -> TrainingFile:
    """The dataset of the same bytes, read with these choices changed; the one it is made from stays.

    Raises:
        NotFound: the owner has no such dataset, or its bytes are not what they were.
        DatasetError: read so, the file is no dataset.
    """
    studio.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=studio.home, prefix=".reading-", ignore_cleanup_errors=True) as scratch:
        source = Path(scratch) / "dataset"
        row = fetch_dataset(studio, owner_id=owner_id, file_id=file_id, target=source)
        choices = choices_of(row).model_copy(update=dict(changes))
        named = source.rename(source.with_name(row.file_name))  # so that what is said of the file calls it so
        return add_dataset(studio, owner_id=owner_id, file_name=row.file_name, source=named, choices=choices)


def choices_of(file: TrainingFile) -> ReadingChoices:
    """How a dataset's records are read: what its owner chose when it was added."""
    return ReadOptions.model_validate((file.audit or {}).get("options", {})).reading_choices()


def read_options_of(file: TrainingFile) -> ReadOptions:
    """The choices of `choices_of`, with nothing that a run would add."""
    return ReadOptions(**dict(choices_of(file)))


def _find_same(session: Session, owner_id: str, sha256: str, choices: ReadingChoices) -> TrainingFile | None:
    same = files.list_same(session, owner_id=owner_id, sha256=sha256)
    return next((file for file in same if choices_of(file) == choices), None)


def remove_dataset(studio: Studio, *, owner_id: str, file_id: str) -> None:
    """Delete a dataset and its bytes.

    Raises:
        NotFound: the owner has no such dataset.
        DatasetInUse: a job was made of it; the record of what an adapter was trained on stays.
    """
    with studio.database.session() as session:
        row = files.delete(session, file_id, owner_id=owner_id, now=studio.clock())
        key, sha256 = row.storage_path, row.sha256
        still_read = files.known_hashes(session, [sha256])  # the same bytes, read another way or by somebody else
    studio.storage.delete(key)
    if not still_read:
        forget_examined(studio, sha256)


def fetch_dataset(studio: Studio, *, owner_id: str, file_id: str, target: Path) -> TrainingFile:
    """Bring a dataset's bytes into a file, verified.

    Raises:
        NotFound: there is no such dataset, or its bytes are not what they were.
    """
    with studio.database.reading() as session:
        row = owned_file(session, owner_id, file_id)
    with studio.storage.open(row.storage_path) as stream, target.open("wb") as out:
        while block := stream.read(1 << 20):
            out.write(block)
    if file_sha256(target) != row.sha256:
        raise NotFound(f"The stored bytes of {row.file_name} are not the ones that were uploaded.")
    return row
