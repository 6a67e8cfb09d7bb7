"""The bytes of a file as UTF-8 text: unpacked, recoded, and with a count of how far they were read."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from brightrun.errors import DatasetError

HEAD_BYTES = 1 << 16
_UTF16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_GZIP, _BZIP2, _XZ, _ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04"
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
# What text hardly ever packs to; more is a file made to fill a disk.
_MAX_RATIO, _RATIO_FROM = 250, 1 << 28
_ACCOUNT_EXPORT = "conversations.json"
_NO_DATA = (".html", ".htm", ".md", ".txt", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".wav", ".mp3", ".pdf", ".dat")
_ENCRYPTED = 0x1


class Source:
    """A file of text that may be packed or in UTF-16; `open` gives its UTF-8 bytes from the beginning."""

    def __init__(self, path: Path, part: str | None = None) -> None:
        """Raises DatasetError where the file is an archive whose member is not clear, or is damaged; OSError."""
        self.path = path
        self.total = path.stat().st_size
        self._raw: IO[bytes] | None = None
        with path.open("rb") as stream:
            self._magic = stream.read(8)
        self.member: str | None = None
        if self._magic.startswith(_ZIP) and not is_spreadsheet(path):
            self.member = _member(path, part)
        self.head = self._head()
        self._encoding = _encoding(self.head)
        if self._encoding is not None:
            self.head = self.head.decode(self._encoding, "ignore").encode("utf-8", "replace")
        self.head = self.head.removeprefix(codecs.BOM_UTF8)

    @property
    def position(self) -> int:
        """How many bytes of the file itself were read."""
        return 0 if self._raw is None else self._raw.tell()

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The text as UTF-8 bytes.

        Raises:
            DatasetError: what is packed is damaged, or is far larger than any text packs to.
        """
        with self.path.open("rb") as raw:
            self._raw = raw
            try:
                stream = self._unpack(raw)
                if stream is not raw:
                    stream = cast("IO[bytes]", io.BufferedReader(_Counted(stream, self.check_size)))
                yield stream if self._encoding is None else _recoded(stream, self._encoding)
            except _DAMAGED as error:
                raise DatasetError(
                    f"{self.path.name} cannot be unpacked: {error}.", hint="Download or pack the file again."
                ) from error

    def check_size(self, unpacked: int) -> None:
        """Raises DatasetError where so many unpacked bytes cannot be honest text."""
        if unpacked > _RATIO_FROM and unpacked > _MAX_RATIO * self.total:
            raise DatasetError(
                f"{self.path.name} unpacks to more than {_MAX_RATIO} times its size.",
                hint="Unpack the file yourself and give what is in it.",
            )

    def _head(self) -> bytes:
        with self.path.open("rb") as raw:
            try:
                return self._unpack(raw).read(HEAD_BYTES)
            except (*_DAMAGED, OSError) as error:
                raise DatasetError(
                    f"{self.path.name} cannot be unpacked: {error}.", hint="Download or pack the file again."
                ) from error

    def _unpack(self, raw: IO[bytes]) -> IO[bytes]:
        if self.member is not None:
            return zipfile.ZipFile(raw).open(self.member)
        if self._magic.startswith(_GZIP):
            return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
        if self._magic.startswith(_BZIP2):
            return cast("IO[bytes]", bz2.BZ2File(raw))
        if self._magic.startswith(_XZ):
            return cast("IO[bytes]", lzma.LZMAFile(raw))
        return raw


def is_spreadsheet(path: Path) -> bool:
    """Whether a zip file is an Excel workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def zip_members(path: Path) -> list[str]:
    """The files of a zip archive, without what systems add to it."""
    with zipfile.ZipFile(path) as archive:
        names = [each.filename for each in archive.infolist() if not each.is_dir()]
    return [name for name in names if not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith(".")]


def _member(path: Path, part: str | None) -> str | None:
    """The member that holds the conversations; None where the archive is a document of its own kind."""
    try:
        names = zip_members(path)
        if "[Content_Types].xml" in names or "mimetype" in names:
            return None  # an office document; it is refused by its name
        member = _choose_member(path, names, part)
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(member).flag_bits & _ENCRYPTED:
                raise DatasetError(f"{path.name} is locked with a password.", hint="Unpack it and give what is in it.")
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{path.name} is a damaged zip archive.", hint="Download or pack it again.") from error
    return member


def _choose_member(path: Path, names: list[str], part: str | None) -> str:
    if part is not None and part in names:
        return part
    data = [name for name in names if not name.casefold().endswith(_NO_DATA)] or names
    exports = [name for name in names if PurePosixPath(name).name == _ACCOUNT_EXPORT]
    if len(data) == 1 or len(exports) == 1:
        return data[0] if len(data) == 1 else exports[0]
    if not names:
        raise DatasetError(f"{path.name} is an empty archive.", hint="Download or pack it again.")
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    raise DatasetError(
        f"{path.name} is an archive of {len(names)} files: {listed}.",
        hint="Say which one holds the conversations with --part NAME.",
        details={"parts": dict.fromkeys(names[:1000])},
    )


def _encoding(head: bytes) -> str | None:
    """The encoding of a text in two or four bytes per character, told by its mark or its zeros; else None."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    for mark in _UTF16_MARKS:
        if head.startswith(mark):
            return "utf-16"
    even, odd = head[:400:2], head[1:400:2]
    if len(head) >= 4 and head[:1] != b"\x00" and odd.count(0) > 0.8 * len(odd) and not even.count(0):
        return "utf-16-le"
    if len(head) >= 4 and head[:1] == b"\x00" and even.count(0) > 0.8 * len(even) and not odd.count(0):
        return "utf-16-be"
    return None


class _Counted(io.RawIOBase):
    """Unpacked bytes, of which `check` hears how many there were before they are handed on."""

    def __init__(self, stream: IO[bytes], check: Callable[[int], None]) -> None:
        super().__init__()
        self._stream, self._check, self._count = stream, check, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        block = self._stream.read(len(buffer))
        self._count += len(block)
        self._check(self._count)
        buffer[: len(block)] = block
        return len(block)


class _Recoded(io.RawIOBase):
    """UTF-8 bytes of a text in another encoding, in blocks."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._waiting:
            block = self._stream.read(HEAD_BYTES)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise DatasetError(
                    f"The file's {error.encoding} text is not whole: {error.reason}.",
                    hint="Save the file as UTF-8.",
                ) from error
            self._waiting = text.encode("utf-8", "surrogatepass")
            if not block:
                break
        taken = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _recoded(stream: IO[bytes], encoding: str) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_Recoded(stream, encoding)))
