"""Sends a stored file, whole or one range of it (RFC 9110, section 14). Knows neither jobs nor links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse

from brightrun.byte_ranges import RangeRefused, byte_range
from brightrun.errors import StoredFileMissing
from brightrun.storage.base import Storage, StoredFile
from brightrun.web.problems import problem

BLOCK = 1 << 20


def send_stored(
    storage: Storage, key: str, *, method: str, headers: Mapping[str, str], file_name: str | None = None
) -> Response:
    """The file as an attachment: a browser saves it and never shows it, since anybody may have made it.

    Raises:
        StoredFileMissing
    """
    file = storage.stat(key)
    if file is None:
        raise StoredFileMissing(f"There is no stored file {key}.")
    tag = f'"{file.sha256 or _stamp(file)}"'
    given = {
        "accept-ranges": "bytes",
        "etag": tag,
        "content-disposition": attachment(file_name or key.rpartition("/")[2]),
        "content-security-policy": "sandbox; default-src 'none'",
    }
    unchanged = headers.get("if-range") in {None, tag}
    try:
        part = byte_range(headers.get("range"), file.bytes) if unchanged and method == "GET" else None
    except RangeRefused:
        return problem(
            416, f"The file has {file.bytes} bytes.", code="range_not_satisfiable", param="range",
            headers={"content-range": f"bytes */{file.bytes}", "accept-ranges": "bytes"},
        )  # fmt: skip
    start, end = part or (0, file.bytes)
    given["content-length"] = str(end - start)
    if part is not None:
        given["content-range"] = f"bytes {start}-{end - 1}/{file.bytes}"
    status, kind = (200 if part is None else 206), "application/octet-stream"
    if method == "HEAD":
        return Response(status_code=status, headers=given, media_type=kind)
    blocks = read_blocks(storage.open(key, start=start, end=end))
    return StreamingResponse(blocks, status, headers=given, media_type=kind)


def attachment(name: str) -> str:
    """A Content-Disposition that any name fits into (RFC 6266)."""
    plain = re.sub(r"[^ !#$&+\-.0-9A-Z^_`a-z|~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def read_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of a stream, which is closed at the end."""
    with stream:
        while block := stream.read(BLOCK):
            yield block


def _stamp(file: StoredFile) -> str:
    return f"{file.bytes:x}-{int(file.modified_at.timestamp() * 1e6):x}"
