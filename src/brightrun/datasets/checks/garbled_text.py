"""Texts whose letters were broken by a wrong encoding: `â€™` for an apostrophe, or U+FFFD where a letter was."""

from __future__ import annotations

import re
from typing import NamedTuple

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.findings import excerpt

NAME = "garbled_text"
EXPLANATION = (
    "These texts were read with a wrong encoding once: UTF-8 taken for Windows-1252 or Latin-1, or letters that became "
    "U+FFFD and are lost. A model trained on them writes the same."
)
FIX = "Export the file again as UTF-8 from its source, where the letters are still whole."

# What bytes 80 to 9F are in Windows-1252; Latin-1 has controls there.
_HIGH = bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
_CONTINUATION = f"\x80-\xbf{_HIGH}"
_RUN = re.compile(
    f"(?:[\xc2-\xdf][{_CONTINUATION}]|[\xe0-\xef][{_CONTINUATION}]{{2}}|[\xf0-\xf4][{_CONTINUATION}]{{3}})+"
)
_CERTAIN = re.compile("â‚¬|â€.?")  # the euro sign; quotation marks and dashes, the last byte of which may be lost
_LEAD = re.compile("[\xc2-\xf4]")  # alone, as it is fast
_PUNCTUATION = frozenset("‚„…–—‘’“”‹›«»")  # may follow a letter in an honest text, as in `Spaß“`
_BYTES = {character: character.encode("cp1252") for character in _HIGH}
_LATIN_LEADS = "ÂÃÄÅ"
_REPLACED = "\ufffd"


class Garbled(NamedTuple):
    """What stands there and what it stands for."""

    written: str
    meant: str


def garbled_fragment(text: str) -> Garbled | None:
    """The first fragment that is UTF-8 read as Windows-1252 or Latin-1; None where there is none.

    A fragment counts where its bytes are UTF-8 and what they say is likelier than what is written: two or more
    characters in a row, or one that such texts are full of (Latin letters, typographic marks, emoji).
    """
    if text.isascii() or _LEAD.search(text) is None:
        return None
    if (certain := _CERTAIN.search(text)) is not None:
        return Garbled(certain.group(), _decoded(certain.group()) or "a quotation mark or dash")
    for match in _RUN.finditer(text):
        meant = _decoded(match.group())
        if meant is not None and _is_likely(match.group(), meant, text[: match.start()][-1:]):
            return Garbled(match.group(), meant)
    return None


class GarbledText(TextCheck):
    name, explanation, fix = NAME, EXPLANATION, FIX

    def describe(self, text: str) -> str | None:
        if (garbled := garbled_fragment(text)) is not None:
            return f"{garbled.written!r} for {garbled.meant!r}: {excerpt(text)}"
        if _REPLACED in text:
            return f"{text.count(_REPLACED)} characters are lost: {excerpt(text)}"
        return None


def _decoded(written: str) -> str | None:
    """The same bytes read as UTF-8, or None where they are not."""
    try:
        return b"".join(_BYTES.get(character) or character.encode("latin-1") for character in written).decode("utf-8")
    except UnicodeError:
        return None


def _is_likely(written: str, meant: str, before: str) -> bool:
    if len(meant) > 1:
        return not all(character in _PUNCTUATION for character in written[1::2])
    if written[1] in _PUNCTUATION:
        return written[0] in _LATIN_LEADS and not before.isupper()  # `IRMÃ…` is honest, `MÃ–gen` is not
    return written[0] in _LATIN_LEADS or written[0] in "âð"
