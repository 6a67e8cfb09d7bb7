"""Names from data as text and nothing more: on a terminal, in a log, in a file's name, in a command to copy.

Knows no other room.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from pathlib import PurePath, PurePosixPath

_NEVER_SHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""General categories (Unicode Standard, table 4-4): control codes, surrogates, line and paragraph separators."""
_NEEDED_IN_WORDS = frozenset(
    "\u200c\u200d"  # joiners: Persian and the scripts of India spell with them, emoji are made with them
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # signs that have a shape
)
"""Format characters (Cf) that stay; the others hide, turn text round, or show nothing."""
_MAX_NAME_BYTES = 255
"""Of ext4, APFS and NTFS alike, or less."""
_ENDING = re.compile(r"(?:\.[A-Za-z0-9]{1,10}){0,2}\Z")
_ANSI_C = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", "'": "\\'"}


def is_shown(letter: str) -> bool:
    """Whether a terminal draws the letter where it stands, and does nothing else with it."""
    category = unicodedata.category(letter)
    return category not in _NEVER_SHOWN and (category != "Cf" or letter in _NEEDED_IN_WORDS)


def visible(text: str, *, lines: bool = False) -> str:
    r"""The text with everything that a terminal would obey written out: `\n`, `\x1b`, `\u202e`.

    Args:
        text: From anywhere.
        lines: Keep line breaks and tabs, as in an answer of a model. A name has none.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(letter if letter in kept or is_shown(letter) else _written_out(letter) for letter in text)


def plain_file_name(text: str) -> str:
    """What a file may be called: the text without folders, at most 255 bytes, with `_` where nothing would be shown.

    A name that is too long keeps its ending. "" where nothing is left.
    """
    last = PurePosixPath(text.replace("\\", "/")).name
    name = "".join(letter if is_shown(letter) else "_" for letter in last).strip()
    ending = (_ENDING.search(name) or ("",))[0]
    return f"{cut(name.removesuffix(ending), _MAX_NAME_BYTES - len(ending))}{ending}" if name.strip(".") else ""


def file_stem(title: str, *, otherwise: str) -> str:
    """A title as the beginning of a file's name, in its own script: runs of anything but letters become a dash."""
    signs = (sign if unicodedata.category(sign)[0] in "LMN" or sign in "._-" else " " for sign in title)
    return cut("-".join("".join(signs).split()).strip("-.")[:80], 200) or otherwise


def cut(text: str, most_bytes: int) -> str:
    """The beginning of the text, in whole letters."""
    return text.encode("utf-8")[:most_bytes].decode("utf-8", "ignore")


def command(line: str, *names: str | PurePath) -> str:
    r"""A command to copy: `line` as it is, then the names as a POSIX shell reads them back.

    Before names of which one begins like an option stands `--`, so all options belong into `line`.
    """
    dashes = ["--"] if any(str(name).startswith("-") for name in names) else []
    return " ".join([line, *dashes, *(shell_word(name) for name in names)])


def shell_word(name: str | PurePath) -> str:
    r"""One word of a shell's command that is also shown whole: `'two words'`, `$'two\nlines'` (POSIX 2024, 2.2.4)."""
    text = str(name)
    if all(is_shown(letter) for letter in text):
        return shlex.quote(text)
    letters = (_ANSI_C.get(letter) or (letter if is_shown(letter) else _octal(letter)) for letter in text)
    return f"$'{''.join(letters)}'"


def _written_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _octal(letter: str) -> str:
    """The letter's bytes in a file's name; three digits each, so that no digit behind them is taken for one more."""
    # A byte that is no UTF-8 is read as one of these surrogates in a file's name (PEP 383).
    errors = "surrogateescape" if "\udc80" <= letter <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", errors))
