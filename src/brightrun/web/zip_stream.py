"""A zip that is written while it is sent: nothing of it is kept, in memory or on disk. Files are stored, not packed."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from brightrun.errors import StorageError

BLOCK = 1 << 20
_ZIP64_FROM = 1 << 31
_EARLIEST_YEAR = 1980  # of the zip format


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the zip; `open` is called when its turn comes."""

    name: str
    bytes: int
    sha256: str
    open: Callable[[], BinaryIO]


def stream_zip(members: Iterable[Member], *, at: datetime) -> Iterator[bytes]:
    """The bytes of the zip, whose files all carry the time `at`.

    Raises:
        StorageError: a file has other bytes than it should. The zip then has no end, so nobody takes it for whole.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            yield from _add(archive, sink, member, at)
    yield sink.take()  # the end; it is never reached after an error


def _add(archive: zipfile.ZipFile, sink: _Sink, member: Member, at: datetime) -> Iterator[bytes]:
    info = zipfile.ZipInfo(member.name, (max(at.year, _EARLIEST_YEAR), *at.timetuple()[1:6]))
    info.external_attr = 0o100644 << 16
    digest = hashlib.sha256()
    with member.open() as source, archive.open(info, "w", force_zip64=member.bytes >= _ZIP64_FROM) as target:
        while block := source.read(BLOCK):
            digest.update(block)
            target.write(block)
            yield sink.take()
    if digest.hexdigest() != member.sha256:
        raise StorageError(f"{member.name} in the store is not the file that was delivered.")


class _Sink(io.RawIOBase):
    """Holds what the archive wrote until it is taken; it cannot be sought in, so sizes follow their files."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]
        self._held += block
        return len(block)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken
