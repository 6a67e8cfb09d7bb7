"""Which keys a store may hold: the same ones in every store, so that files can move between them."""

from __future__ import annotations

import re
import unicodedata

from brightrun.errors import KeyRefused

MAX_KEY_BYTES = 900  # S3 and Supabase end at 1,024
MAX_SEGMENT_BYTES = 240  # file systems end at 255
STAGING = ".staging"

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in ("0123456789¹²³")}
)


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        KeyRefused: it is empty, absolute, leaves its folder, or cannot be a file's name somewhere.
    """
    if not key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise _refused(key, f"it must have between 1 and {MAX_KEY_BYTES} bytes")
    if key != unicodedata.normalize("NFC", key):
        raise _refused(key, "its letters are not in composed form (NFC)")
    for segment in key.split("/"):
        _check_segment(key, segment)
    return key


def check_prefix(prefix: str) -> str:
    """The prefix without a slash at its end; "" stands for everything."""
    bare = prefix.removesuffix("/")
    return check_key(bare) if bare else ""


def is_below(key: str, prefix: str) -> bool:
    """Whether `key` is the file or lies in the folder that a checked prefix names."""
    return not prefix or key == prefix or key.startswith(prefix + "/")


def _check_segment(key: str, segment: str) -> None:
    if segment in {"", ".", ".."}:
        raise _refused(key, "it is absolute, or a part of it is empty, . or ..")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in segment) or _FORBIDDEN.search(segment):
        raise _refused(key, "it holds a character that file names may not hold")
    if len(segment.encode("utf-8")) > MAX_SEGMENT_BYTES:
        raise _refused(key, f"a part of it has more than {MAX_SEGMENT_BYTES} bytes")
    if segment != segment.strip() or segment.endswith("."):
        raise _refused(key, "a part of it begins or ends with a space, or ends with a dot")
    if segment == STAGING or segment.split(".", maxsplit=1)[0].strip().lower() in _DEVICES:
        raise _refused(key, f"{segment} is a reserved name")


def _refused(key: str, why: str) -> KeyRefused:
    return KeyRefused(f"The key {key[:80]!a} cannot be used: {why}.")
