"""Text of a file to JSON values, whole or by line: tolerant of byte order marks and CRLF, strict about UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Record
from brightrun.datasets.readers.json_text import parse_json
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.source import Source

Progress = Callable[[int, int], None]
_REPORT_BYTES = 1 << 18
_UTF8_MARK = codecs.BOM_UTF8


def is_json_lines(source: Source) -> bool:
    """Whether the file is one JSON value per line, told from its first two lines that are not blank."""
    first, second = _first_lines(source)
    if first[:2] == b"[{":
        return first.endswith(b"}]") and second.startswith(b"[{")
    whole = first.endswith(b"}") or second.endswith(b"}")  # else, one value was printed over several lines
    return first.startswith(b"{") and second.startswith(b"{") and whole and len(first) > 1


def is_blank(source: Source) -> bool:
    return not _first_lines(source)[0]


def whole_text(source: Source) -> str:
    """Raises UnreadableRecordError: not UTF-8."""
    with source.open() as stream:
        data = stream.read()
    return decode(data.removeprefix(_UTF8_MARK), offset=len(data) - len(data.removeprefix(_UTF8_MARK)), line=1)


def json_lines(source: Source, notes: Notes, progress: Progress | None = None) -> Iterator[Record]:
    """The values of a JSONL, one line in memory at a time. Lines that are not JSON become problems."""
    offset, reported = 0, 0
    with source.open() as stream:
        for number, raw in enumerate(stream, start=1):
            start = len(_UTF8_MARK) if raw.startswith(_UTF8_MARK) else 0
            with notes.collecting():
                text = decode(raw[start:], offset=offset + start, line=number).strip()
                if text:
                    yield Record(f"line {number}", parse_json(text, notes, first_line=number))
            offset += len(raw)
            if offset - reported >= _REPORT_BYTES:
                reported = offset
                if progress is not None:
                    progress(min(source.position, source.total), source.total)
    if progress is not None:
        progress(source.total, source.total)


def decode(data: bytes, *, offset: int, line: int) -> str:
    """Text of UTF-8 bytes.

    Raises:
        UnreadableRecordError: naming the byte (from 0, in the text) that is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = offset + error.start
        line += data.count(b"\n", 0, error.start)
        raise UnreadableRecordError(
            f"line {line}, byte {place}",
            f"not UTF-8 text: byte 0x{data[error.start]:02x}",
            hint="Save the file as UTF-8.",
            details={"line": line, "byte": place},
        ) from error


def _first_lines(source: Source) -> tuple[bytes, bytes]:
    """The first two lines that are not blank, as they begin; empty where there are none."""
    found: list[bytes] = []
    with source.open() as stream:
        for raw in stream:
            line = raw.removeprefix(_UTF8_MARK).rstrip()
            if line.strip():
                found.append(line)
            if len(found) == 2:
                break
    first, second, *_ = [*found, b"", b""]
    return first, second
