"""A folder that appears whole or not at all: written beside its place, then moved."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from brightrun.errors import NotEnoughDisk, RunFolderError


def check_folder(out: Path, names: Collection[str], what: str) -> None:
    """Raises RunFolderError where `out` is a file or holds anything but files of these names."""
    if not out.exists():
        return
    if not out.is_dir():
        raise RunFolderError(f"{out} is a file.")
    others = sorted(item.name for item in out.iterdir() if item.name not in names)
    if others:
        raise RunFolderError(f"{out} holds something else than {what}: {', '.join(others[:5])}.")


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is gone afterwards, with those above it that were made for it and stay empty."""
    with _made_above(out):
        folder = out.parent / f".{out.name}.{uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name at the end; on failure it is gone and `out` is as it was."""
    try:
        with scratch_folder(out) as folder:
            yield folder
            _swap(folder, out)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NotEnoughDisk(f"The disk is full at {out.parent}; nothing was written.") from error
        raise


@contextmanager
def _made_above(out: Path) -> Iterator[None]:
    above = [parent for parent in out.parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for parent in above:
            with suppress(OSError):  # it holds the new folder, as it should
                parent.rmdir()


def _swap(folder: Path, out: Path) -> None:
    if not out.exists():
        folder.rename(out)
        return
    old = folder.with_name(folder.name + ".old")
    out.rename(old)
    try:
        folder.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
