"""Reads what is to be stored, whatever it comes as, block by block."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from brightrun.errors import StorageError

BLOCK = 1 << 20


def copy_hashed(source: Path | bytes | BinaryIO, write: Callable[[bytes], object]) -> tuple[int, str]:
    """Hand every block to `write`; the number of bytes and their sha256.

    Raises:
        StorageError: the file to store is not there.
    """
    digest, total = hashlib.sha256(), 0
    stream = _opened(source)
    try:
        while block := stream.read(BLOCK):
            digest.update(block)
            total += len(block)
            write(block)
    finally:
        if not _is_callers(source):
            stream.close()
    return total, digest.hexdigest()


def require_hash(key: str, expected: str | None, actual: str) -> None:
    """Raise StorageError where the bytes that arrived are not the bytes that were meant."""
    if expected is not None and expected.lower() != actual:
        raise StorageError(
            f"The bytes for {key} are not the expected ones; nothing was stored.",
            hint="Send the file again.",
            details={"expected_sha256": expected, "sha256": actual},
        )


def _opened(source: Path | bytes | BinaryIO) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        try:
            return source.open("rb")
        except OSError as error:
            raise StorageError(f"{source.name}, which was to be stored, cannot be read.") from error
    return source


def _is_callers(source: Path | bytes | BinaryIO) -> bool:
    return not isinstance(source, (Path, bytes))
