"""What every store of files can do, and what a stored file is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as the store knows it.

    Attributes:
        key: Relative path with forward slashes.
        bytes: Size.
        sha256: Hash of the bytes where the store knows it; a store that would have to read them again says None.
        modified_at: When these bytes were put, with zone.
    """

    key: str
    bytes: int
    sha256: str | None
    modified_at: datetime


@runtime_checkable
class Storage(Protocol):
    """A store of files under keys.

    Every method may raise KeyRefused for a key that no store may hold, and StorageError when the store fails;
    after a StorageError nothing has changed and the call can be repeated.
    """

    def put(self, key: str, source: Path | bytes | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        """Store the bytes under `key`, whole or not at all, in place of any that were there.

        Raises:
            StorageError: the bytes are not those of `sha256`.
            NotEnoughDisk: there is no room.
        """

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> BinaryIO:
        """The bytes from `start` up to and without `end`; what lies beyond the end of the file is left out.

        Raises:
            StoredFileMissing: there is no such file.
        """

    def stat(self, key: str) -> StoredFile | None:
        """What is known of a file; None where there is none."""

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """The file `prefix` and every file in the folder `prefix`, sorted by key; "" is everything.

        Whole segments count: "jobs/1" does not find "jobs/10/a".
        """

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone already is no error."""

    def download_link(self, key: str, *, expires: timedelta, file_name: str | None = None) -> str:
        """An address at which anyone can read this one file until it expires, saved as `file_name`."""

    def sweep_staging(self, *, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what killed writers left behind; how many files."""

    def upload_link(self, key: str, *, expires: timedelta, max_bytes: int) -> str:
        """An address at which anyone can put this one file (HTTP PUT) until it expires."""
