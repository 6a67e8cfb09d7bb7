"""What a Range header asks of a file (RFC 9110, section 14). Reads nothing itself."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeRefused(ValueError):
    """The range begins behind the end of the file."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open range that a Range header asks of `size` bytes; None: the whole file.

    Several ranges, and what cannot be read, are ignored, as section 14.2 allows.

    Raises:
        RangeRefused
    """
    asked = _RANGE.fullmatch(header.strip()) if header else None
    if asked is None or not (asked[1] or asked[2]):
        return None
    if not asked[1]:
        start, end = max(size - int(asked[2]), 0), size
    else:
        start, end = int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size
        if asked[2] and int(asked[2]) < start:
            return None
    if start >= size:
        raise RangeRefused
    return start, end
