"""A dataset is read, checked and encoded once for each tokenizer; what came of it is kept in the studio's home.

Kept under the dataset's hash and a key of everything else that decides the result: tokenizer, template, options and
the code that examines. With a validation dataset, whose texts are then kept too, its hash stands behind the key. A
folder that was changed since is not used. Another studio on the same database examines for itself, and forgets what was
deleted there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256 as new_sha256
from importlib import metadata
from pathlib import Path

import brightrun
from brightrun.contract.job_spec import canonical_sha256
from brightrun.database import files
from brightrun.datasets.examined import ExaminedDataset, examine_dataset, read_examined
from brightrun.datasets.options import ReadingChoices, ReadOptions
from brightrun.datasets.readers.file_text import Progress
from brightrun.jobs.studio import Studio
from brightrun.locks import take_lock
from brightrun.templating.chat_model import ChatModel

MOST_DATASETS = 64
_FOLDER = "examined"
_CODE = ("datasets", "templating")
_LIBRARIES = ("jinja2", "tiktoken", "tokenizers")


@dataclass(frozen=True, slots=True)
class ValidationDataset:
    """A dataset that is kept for validation whole. `source` brings its file, into the given folder if need be."""

    sha256: str
    choices: ReadingChoices
    source: Callable[[Path], Path]


def examine_once(
    studio: Studio,
    sha256: str,
    chat: ChatModel,
    options: ReadOptions,
    *,
    source: Callable[[Path], Path],
    validation: ValidationDataset | None = None,
    progress: Progress | None = None,
) -> ExaminedDataset:
    """The dataset with these bytes as those options read it; its folder may be read, and must not be changed.

    A limit that no conversation reaches changes nothing, so the dataset is examined without one first.

    Args:
        source: Called only where the file must be read: brings it, into the given folder if need be.
        validation: What is examined behind it, for validation.

    Raises:
        DatasetError: the file cannot be read as conversations. A refusing audit does not raise.
        NotEnoughDisk
    """
    unlimited = options.model_copy(
        update={"max_seq_length": None, "context_length": None, "overlength_policy": "refuse"}
    )
    whole = _kept_or_made(studio, sha256, chat, unlimited, source, validation, progress)
    limits = [each for each in (options.max_seq_length, options.context_length) if each is not None]
    limit = min(limits, default=None)
    if limit is not None and whole.audit.longest_tokens > limit:
        return _kept_or_made(studio, sha256, chat, options, source, validation, progress)
    audit = whole.audit.model_copy(update={"options": options, "max_seq_length": options.max_seq_length})
    return whole.model_copy(update={"audit": audit})


def forget_examined(studio: Studio, sha256: str) -> None:
    """Remove what is kept of a dataset, also where it was examined for the validation of another."""
    folder = studio.home / _FOLDER
    for kept in [folder / sha256, *folder.glob(f"*/*-{sha256}")]:
        shutil.rmtree(kept, ignore_errors=True)


def forget_deleted(studio: Studio, *, unused_for: timedelta = timedelta(hours=1)) -> int:
    """Remove what is kept of datasets that no owner has any more, deleted in another studio too; how many.

    Args:
        unused_for: One that was used since is left alone: it may be a file that is being uploaded.
    """
    folder = studio.home / _FOLDER
    before = time.time() - unused_for.total_seconds()
    old = [each.name for each in folder.iterdir() if each.stat().st_mtime < before] if folder.is_dir() else []
    old += {each.name.rpartition("-")[2] for each in folder.glob("*/[!.]*-*")}  # never of a file still being uploaded
    with studio.database.reading() as session:
        gone = set(old) - files.known_hashes(session, old)
    for sha256 in gone:
        forget_examined(studio, sha256)
    return len(gone)


def _kept_or_made(
    studio: Studio,
    sha256: str,
    chat: ChatModel,
    options: ReadOptions,
    source: Callable[[Path], Path],
    validation: ValidationDataset | None,
    progress: Progress | None,
) -> ExaminedDataset:
    of_dataset = studio.home / _FOLDER / sha256
    folder = of_dataset / _key(chat, options, validation)
    of_dataset.mkdir(parents=True, exist_ok=True)
    lock = take_lock(of_dataset / f".{folder.name}.lock", wait_seconds=-1)
    assert lock is not None
    with lock:
        kept = read_examined(folder)
        of_dataset.touch()
        if kept is not None:
            return kept
        scratch = of_dataset / f".{folder.name}.source"
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            made = examine_dataset(
                source(scratch),
                folder,
                chat=chat,
                options=options,
                validation_file=None if validation is None else validation.source(scratch),
                validation_choices=None if validation is None else validation.choices,
                progress=progress,
            )
        except BaseException:
            _leave_nothing(of_dataset)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    _forget_the_oldest(studio.home / _FOLDER)
    return made


def _key(chat: ChatModel, options: ReadOptions, validation: ValidationDataset | None) -> str:
    decides = [chat.fingerprint, options.model_dump(mode="json"), _code()]
    if validation is None:
        return canonical_sha256(decides)
    decides += [validation.sha256, validation.choices.model_dump(mode="json")]
    return f"{canonical_sha256(decides)}-{validation.sha256}"


@cache
def _code() -> str:
    """A hash of the modules that examine, and the versions of the libraries they do it with."""
    digest = new_sha256(" ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES).encode())
    package = Path(brightrun.__file__).parent
    for path in sorted(path for room in _CODE for path in (package / room).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _leave_nothing(of_dataset: Path) -> None:
    """Of a dataset of which nothing is kept."""
    if all(each.name.startswith(".") for each in of_dataset.iterdir()):
        shutil.rmtree(of_dataset, ignore_errors=True)
        with suppress(OSError):  # it holds other datasets
            of_dataset.parent.rmdir()


def _forget_the_oldest(folder: Path) -> None:
    """Keep what was used last. One that somebody reads this moment is examined again, should it be gone."""
    by_use = sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime)
    for old in by_use[:-MOST_DATASETS]:
        shutil.rmtree(old, ignore_errors=True)
