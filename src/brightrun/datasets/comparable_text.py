"""Texts made comparable: two that differ only in case, blanks and punctuation are the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_NOT_LETTERS = re.compile(r"[\W_]+")


def comparable(text: str) -> str:
    """Letters and digits in lower case, with one blank between words; empty where there are none."""
    return _NOT_LETTERS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def digest64(*texts: str) -> int:
    """A 64-bit hash that is the same on every machine; where one text ends and the next begins counts."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    joined = b"".join([len(each).to_bytes(8, "big") + each for each in encoded])
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big")
