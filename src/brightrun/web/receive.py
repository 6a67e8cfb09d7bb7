"""Bodies that are too large for memory: streamed to disk and hashed on the way, and gone when anything fails."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from brightrun.web.problems import BodyTooLarge, BodyUnreadable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

SCRATCH_PREFIX = ".receiving-"
_MAX_NAME_BYTES = 200


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


def plain_name(text: str) -> str:
    """A file's name without folders and without what cannot be seen; "" where nothing is left."""
    last = PurePosixPath(text.replace("\\", "/")).name
    seen = "".join(letter for letter in last if letter.isprintable()).strip()
    name = seen.encode("utf-8")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")
    return name if name.strip(".") else ""


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
        if options.get(b"name") != self._field.encode() or b"filename" not in options or self._name is not None:
            raise BodyUnreadable(
                f"The form must have one file, `{self._field}`, and nothing else.", details={"param": self._field}
            )
        name = plain_name(options[b"filename"].decode("utf-8", "replace"))
        if not name:
            raise BodyUnreadable("The file has no name.", details={"param": self._field})
        self._name = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._sink.write(data[start:end])

    def _ends(self) -> None:
        self._ended = True
