"""Writes files and folders so that they are there whole or not at all, also when the process is killed in between."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from brightrun.errors import NotEnoughDisk


def write_text(path: Path, text: str) -> None:
    """Replace a file in one move."""
    staging = path.with_name(f".{path.name}.partial")
    with staging.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    staging.replace(path)


def write_model(path: Path, value: BaseModel) -> None:
    write_text(path, value.model_dump_json(indent=2) + "\n")


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """A staging folder that becomes `final` when the block ends well. An older `final` is replaced."""
    staging = final.with_name(f".{final.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    yield staging
    for file in staging.rglob("*"):
        if file.is_file():
            _sync(file)
    _sync(staging)
    retired = final.with_name(f".{final.name}.retired")
    shutil.rmtree(retired, ignore_errors=True)  # a killed process may have left one
    if final.exists():
        final.rename(retired)
    staging.rename(final)
    shutil.rmtree(retired, ignore_errors=True)
    _sync(final.parent)


def require_free_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise NotEnoughDisk where `folder`'s disk has less than `needed_bytes` free."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise NotEnoughDisk(
            f"{what} needs {needed_bytes / 1e9:.1f} GB free beside {folder.name}; there are {free / 1e9:.1f} GB.",
            details={"needed_bytes": needed_bytes, "free_bytes": free},
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
