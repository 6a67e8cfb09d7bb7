"""A store in this process's memory, for tests and simulations; it forgets everything at the end."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from brightrun.errors import NotEnoughDisk, StoredFileMissing
from brightrun.storage.base import StoredFile
from brightrun.storage.keys import check_key, check_prefix, is_below
from brightrun.storage.links import Grant, LinkSigner, grant_until
from brightrun.storage.ranges import open_range
from brightrun.storage.sources import copy_hashed, require_hash


class InMemory:
    """A Storage whose links are of the same kind as LocalFolder's.

    Args:
        signer: Makes and reads the links.
        capacity: Bytes it holds before it is full; None for no limit.
        clock: Now, with zone.
    """

    def __init__(
        self,
        signer: LinkSigner,
        *,
        capacity: int | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._signer = signer
        self._capacity = capacity
        self._clock = clock
        self._files: dict[str, tuple[StoredFile, bytes]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, source: Path | bytes | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        check_key(key)
        held = bytearray()
        size, digest = copy_hashed(source, held.extend)
        require_hash(key, sha256, digest)
        stored = StoredFile(key, size, digest, self._clock())
        with self._lock:
            others = sum(file.bytes for file, _ in self._files.values() if file.key != key)
            if self._capacity is not None and others + size > self._capacity:
                raise NotEnoughDisk(f"There is no room to store {key} ({size} bytes).")
            self._files[key] = (stored, bytes(held))
        return stored

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> BinaryIO:
        entry = self._files.get(check_key(key))
        if entry is None:
            raise StoredFileMissing(f"There is no stored file {key}.")
        return open_range(io.BytesIO(entry[1]), start, end)

    def stat(self, key: str) -> StoredFile | None:
        entry = self._files.get(check_key(key))
        return entry[0] if entry else None

    def list(self, prefix: str) -> Iterator[StoredFile]:
        folder = check_prefix(prefix)
        with self._lock:
            found = [file for key, (file, _) in sorted(self._files.items()) if is_below(key, folder)]
        return iter(found)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self._files.pop(key, None)

    def download_link(self, key: str, *, expires: timedelta, file_name: str | None = None) -> str:
        grant = grant_until(self._clock(), "GET", key, expires)
        return self._signer.link(replace(grant, file_name=file_name))

    def upload_link(self, key: str, *, expires: timedelta, max_bytes: int) -> str:
        grant = grant_until(self._clock(), "PUT", key, expires)
        return self._signer.link(replace(grant, max_bytes=max_bytes))

    def sweep_staging(self, *, older_than: timedelta = timedelta(days=1)) -> int:  # noqa: ARG002
        """Nothing outlives the process."""
        return 0

    def redeem(self, token: str, method: str, now: datetime) -> Grant:
        """What a link's token allows; LinkRefused where it allows nothing."""
        return self._signer.redeem(token, method, now)
