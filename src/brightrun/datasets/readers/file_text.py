"""Bytes of a file to text, whole or by line: tolerant of a byte order mark and CRLF, strict about UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Record
from brightrun.datasets.readers.json_text import parse_json
from brightrun.datasets.readers.notes import Notes

Progress = Callable[[int, int], None]
_REPORT_BYTES = 1 << 18
_UTF8_MARK = codecs.BOM_UTF8
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def is_json_lines(path: Path) -> bool:
    """Whether the file is one JSON object per line, told from its first two lines that are not blank."""
    first, second = _first_lines(path)
    return len(first) > 1 and first.startswith(b"{") and second.startswith(b"{")


def is_blank(path: Path) -> bool:
    return not _first_lines(path)[0]


def whole_text(path: Path) -> str:
    data = path.read_bytes()
    return decode(data.removeprefix(_UTF8_MARK), offset=len(data) - len(data.removeprefix(_UTF8_MARK)), line=1)


def json_lines(path: Path, notes: Notes, progress: Progress | None = None) -> Iterator[Record]:
    """The values of a JSONL, one line in memory at a time. Lines that are not JSON become problems."""
    total, offset, reported = path.stat().st_size, 0, 0
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            start = len(_UTF8_MARK) if number == 1 and raw.startswith(_UTF8_MARK) else 0
            with notes.collecting():
                text = decode(raw[start:], offset=offset + start, line=number).strip()
                if text:
                    yield Record(f"line {number}", parse_json(text, notes, first_line=number))
            offset += len(raw)
            if progress is not None and (offset - reported >= _REPORT_BYTES or offset == total):
                progress(offset, total)
                reported = offset


def decode(data: bytes, *, offset: int, line: int) -> str:
    """Text of UTF-8 bytes.

    Raises:
        UnreadableRecordError: naming the byte (from 0, in the file) that is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = offset + error.start
        line += data.count(b"\n", 0, error.start)
        wide = " (the file seems to be UTF-16)" if data[:2] in _UTF16_MARKS else ""
        raise UnreadableRecordError(
            f"line {line}, byte {place}",
            f"not UTF-8 text: byte 0x{data[error.start]:02x}{wide}",
            hint="Save the file as UTF-8.",
            details={"line": line, "byte": place},
        ) from error


def _first_lines(path: Path) -> tuple[bytes, bytes]:
    """The first two lines that are not blank; empty where there are none."""
    found: list[bytes] = []
    with path.open("rb") as stream:
        for raw in stream:
            line = raw.removeprefix(_UTF8_MARK).strip()
            if line:
                found.append(line)
            if len(found) == 2:
                break
    first, second, *_ = [*found, b"", b""]
    return first, second
