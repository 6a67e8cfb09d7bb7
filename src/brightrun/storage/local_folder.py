"""A store in a folder of this machine; links to it are served by the studio."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from brightrun.errors import KeyRefused, NotEnoughDisk, StorageError, StoredFileMissing
from brightrun.storage.base import StoredFile
from brightrun.storage.keys import STAGING, check_key, check_prefix
from brightrun.storage.links import Grant, LinkSigner, grant_until
from brightrun.storage.ranges import open_range
from brightrun.storage.sources import copy_hashed, require_hash

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalFolder:
    """A Storage below one folder, which is made at the first put.

    Files are written under `.staging` on the same disk, synced, and moved into place; what a killed process left
    there is swept by `sweep_staging`.

    Args:
        root: The folder.
        signer: Makes and reads the links.
        clock: Now, with zone.
    """

    def __init__(
        self, root: Path, signer: LinkSigner, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 absolute without following links; they are checked
        self._signer = signer
        self._clock = clock

    def put(self, key: str, source: Path | bytes | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        target = self._path(key)
        staged = self._root / STAGING / uuid.uuid4().hex
        with _told(key):
            staged.parent.mkdir(parents=True, exist_ok=True)
            try:
                with staged.open("xb") as stream:
                    size, digest = copy_hashed(source, stream.write)
                    stream.flush()
                    os.fsync(stream.fileno())
                require_hash(key, sha256, digest)
                modified = staged.stat().st_mtime
                self._move(staged, target)
            finally:
                staged.unlink(missing_ok=True)
        return StoredFile(key, size, digest, datetime.fromtimestamp(modified, UTC))

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> BinaryIO:
        path = self._path(key)
        with _told(key):
            if not path.is_file():
                raise StoredFileMissing(f"There is no stored file {key}.")
            source = path.open("rb")
        return open_range(source, start, end)

    def stat(self, key: str) -> StoredFile | None:
        path = self._path(key)
        with _told(key):
            return self._known(path)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        bare = check_prefix(prefix)
        top = self._path(bare) if bare else self._root
        with _told(bare or "the store"):
            alone = self._known(top)
            found = [alone] if alone else list(self._below(top))
        return iter(sorted(found, key=lambda file: file.key))

    def delete(self, key: str) -> None:
        """Its folder stays: removing it could take it from under a put that is about to use it."""
        path = self._path(key)
        with _told(key), suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def download_link(self, key: str, *, expires: timedelta, file_name: str | None = None) -> str:
        grant = grant_until(self._clock(), "GET", key, expires)
        return self._signer.link(replace(grant, file_name=file_name))

    def upload_link(self, key: str, *, expires: timedelta, max_bytes: int) -> str:
        grant = grant_until(self._clock(), "PUT", key, expires)
        return self._signer.link(replace(grant, max_bytes=max_bytes))

    def redeem(self, token: str, method: str, now: datetime) -> Grant:
        """What a link's token allows; LinkRefused where it allows nothing."""
        return self._signer.redeem(token, method, now)

    def sweep_staging(self, *, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what killed writers left behind; the number of files removed."""
        limit, swept = (self._clock() - older_than).timestamp(), 0
        for left in (self._root / STAGING).glob("*"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < limit:
                    left.unlink()
                    swept += 1
        return swept

    def _path(self, key: str) -> Path:
        path = self._root / check_key(key)
        root = self._root.resolve()
        if not path.resolve().is_relative_to(root):
            raise KeyRefused(f"The key {key[:80]!a} leads out of the store by a link.")
        return path

    def _move(self, staged: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _known(self, path: Path) -> StoredFile | None:
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(facts.st_mode):
            return None
        key = path.relative_to(self._root).as_posix()
        return StoredFile(key, facts.st_size, None, datetime.fromtimestamp(facts.st_mtime, UTC))

    def _below(self, top: Path) -> Iterator[StoredFile]:
        for path in top.rglob("*"):
            if path.relative_to(self._root).parts[0] != STAGING and (file := self._known(path)):
                yield file


@contextmanager
def _told(key: str) -> Iterator[None]:
    """What the disk says, in this family's words."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NotEnoughDisk(f"The disk of the store is full; {key} was not stored.") from error
        what = error.strerror or type(error).__name__
        raise StorageError(f"The store could not do it for {key}: {what}.") from error
