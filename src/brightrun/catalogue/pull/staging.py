"""A new model's folder grows beside its place and moves there whole. Knows disks, no origin of any model."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brightrun.catalogue.folders import ModelRecord, write_model_record
from brightrun.errors import NotEnoughDisk

MARGIN_BYTES = 256 * 1024 * 1024
"""Left free beside what a pull needs, so that a machine is never filled to its last byte."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """A model in its place. `needs_conversion`: its weights must still be made from another format."""

    folder: Path
    record: ModelRecord
    needs_conversion: bool


@contextmanager
def staged_folder(models_home: Path, name: str) -> Iterator[Path]:
    """A fresh hidden folder on the same disk, gone afterwards whatever happens."""
    models_home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=models_home, prefix=f".pulling-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(staged: Path, models_home: Path, record: ModelRecord) -> PullResult:
    """Writes the record and moves the folder to `models_home/<name>`; an older one there is replaced."""
    staged.chmod(0o755)
    write_model_record(staged, record)
    target = models_home / record.name
    _sync_tree(staged)
    with staged_folder(models_home, f"old-{record.name}") as old:
        if target.exists():
            target.replace(old / record.name)
        try:
            staged.replace(target)
        except OSError:
            if (old / record.name).exists():
                (old / record.name).replace(target)
            raise
    return PullResult(folder=target, record=record, needs_conversion=record.needs_conversion)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def require_free_space(models_home: Path, needed_bytes: int, what: str) -> None:
    """Compares the free space where the models live with what is needed, margin included.

    Raises:
        NotEnoughDisk: there is less; the message names both figures.
    """
    place = next(folder for folder in (models_home, *models_home.parents) if folder.exists())
    free, wanted = shutil.disk_usage(place).free, needed_bytes + MARGIN_BYTES
    if free < wanted:
        raise NotEnoughDisk(
            f"{what} needs {in_gigabytes(wanted)} in {models_home}, and {in_gigabytes(free)} are free.",
            hint="Free some space, or choose a folder on another disk with BRIGHTRUN_MODELS.",
            details={"needed_bytes": wanted, "free_bytes": free, "folder": str(models_home)},
        )


def in_gigabytes(size_bytes: int) -> str:
    """A size for people, in GB of 10⁹ bytes."""
    return f"{size_bytes / 1e9:,.1f} GB"


def now() -> datetime.datetime:
    """The time in UTC, to the second, for a record."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
