"""Bodies that are too large for memory: streamed to disk and hashed on the way, and gone when anything fails."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from brightrun.plain_text import plain_file_name
from brightrun.web.problems import BodyTooLarge, BodyUnreadable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

SCRATCH_PREFIX = ".receiving-"
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[^']*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})+)", re.IGNORECASE)
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_FORM_ESCAPES = re.compile("%(22|0A|0D)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that arrived whole; `name` is what its sender calls it, without folders."""

    path: Path
    name: str
    bytes: int
    sha256: str


@contextmanager
def scratch_folder(home: Path) -> Iterator[Path]:
    """A folder beside the studio's own, removed at the end whatever happens."""
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=SCRATCH_PREFIX, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


async def receive_form_file(request: Request, folder: Path, *, field: str, limit: int) -> Received:
    """The one file of a form (multipart/form-data, RFC 7578).

    Raises:
        BodyUnreadable: it is no such form, or has not exactly this one file.
        BodyTooLarge: the file has more than `limit` bytes.
    """
    kind, options = _content_type(request)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BodyUnreadable("The body is not a form with a file.", hint=f"Send it as form field `{field}`.")
    sink = _Sink(folder / "body", limit)
    form = _Form(field, sink)
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())
        async for block in request.stream():
            if block:
                await run_in_threadpool(parser.write, block)
        parser.finalize()
    except FormParserError as error:
        raise BodyUnreadable("The form cannot be read.", hint="Send multipart/form-data.") from error
    finally:
        sink.close()
    name = form.require_name()
    # Under its own name, so that what is said of the file calls it so.
    return Received(sink.path.rename(folder / name), name, sink.bytes, sink.sha256)


async def receive_body(request: Request, folder: Path, *, limit: int) -> Received:
    """A whole body as a file.

    Raises:
        BodyTooLarge: it has more than `limit` bytes.
    """
    sink = _Sink(folder / "body", limit)
    blocks: AsyncIterator[bytes] = request.stream()
    try:
        async for block in blocks:
            await run_in_threadpool(sink.write, block)
    finally:
        sink.close()
    return Received(sink.path, "", sink.bytes, sink.sha256)


def sent_name(disposition: str) -> str | None:
    """The file's name as its sender means it; None where there is none.

    Args:
        disposition: The header Content-Disposition of the form's part, its bytes read as Latin-1.

    `filename*` (RFC 8187, once 5987) says it without doubt. A `filename` that is percent-encoded as a whole is decoded
    (RFC 7578, section 4.2); of any other name only what browsers encode is (HTML standard, section 4.10.21.8).
    """
    for name, value in _PARAMETER.findall(disposition):
        if name.lower() == "filename*" and (found := _EXTENDED.fullmatch(value.strip().strip('"'))):
            return unquote_to_bytes(found[2]).decode(found[1], "replace")
    given = parse_options_header(disposition)[1].get(b"filename")
    if given is None:
        return None
    text = given.decode("utf-8", "replace")
    if _ENCODED.fullmatch(text):
        return unquote(text)
    return _FORM_ESCAPES.sub(lambda escape: chr(int(escape[1], 16)), text)


def _content_type(request: Request) -> tuple[bytes, dict[bytes, bytes]]:
    return parse_options_header(request.headers.get("content-type"))


class _Sink:
    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.bytes = path, 0
        self._limit, self._digest = limit, hashlib.sha256()
        self._stream = path.open("xb")

    def write(self, block: bytes) -> None:
        self.bytes += len(block)
        if self.bytes > self._limit:
            raise BodyTooLarge
        self._digest.update(block)
        self._stream.write(block)

    def close(self) -> None:
        self._stream.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Form:
    """Hears what the parser finds, and lets one file through."""

    def __init__(self, field: str, sink: _Sink) -> None:
        self._field, self._sink = field, sink
        self._name: str | None = None
        self._ended = False
        self._header: tuple[bytes, bytes] = (b"", b"")
        self._disposition = ""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_end": self._ends,
        }

    def require_name(self) -> str:
        if self._name is None or not self._ended:
            raise BodyUnreadable(f"The form has no whole file `{self._field}`.", details={"param": self._field})
        return self._name

    def _part_begins(self) -> None:
        self._header, self._disposition = (b"", b""), ""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _header_ends(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1].decode("latin-1")
        self._header = (b"", b"")

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        sent = sent_name(self._disposition)
        if options.get(b"name") != self._field.encode() or sent is None or self._name is not None:
            raise BodyUnreadable(
                f"The form must have one file, `{self._field}`, and nothing else.", details={"param": self._field}
            )
        name = plain_file_name(sent)
        if not name:
            raise BodyUnreadable("The file has no name.", details={"param": self._field})
        self._name = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._sink.write(data[start:end])

    def _ends(self) -> None:
        self._ended = True
