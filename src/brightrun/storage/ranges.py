"""A part of an open file, read as if it were a whole one."""

from __future__ import annotations

import io
from typing import Any, BinaryIO


class FileRange(io.RawIOBase):
    """The bytes of `source` from `start` up to and without `end`; owns `source` and closes it."""

    def __init__(self, source: BinaryIO, start: int, end: int | None) -> None:
        super().__init__()
        self._source = source
        size = source.seek(0, io.SEEK_END)
        self._start = min(start, size)
        self._length = max(0, (size if end is None else min(end, size)) - self._start)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._length - self._at))
        self._source.seek(self._start + self._at)
        block = self._source.read(wanted)
        view[: len(block)] = block
        self._at += len(block)
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


def open_range(source: BinaryIO, start: int, end: int | None) -> BinaryIO:
    """Raises ValueError for a range that begins before the file or ends before it begins."""
    if start < 0 or (end is not None and end < start):
        source.close()
        raise ValueError(f"the range {start} to {end} is none")
    return io.BufferedReader(FileRange(source, start, end), 1 << 16)
