"""The guarded decode of escaped line breaks: only where a `\\n` can hardly be anything else.

Windows paths, LaTeX commands, code and talk of the escape itself keep their backslashes. Text that has real
line breaks is left alone, so decoding a text twice gives the same as once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RUN = re.compile(r"(?<!\\)(?:(?:\\r)?\\n)+")
_QUOTE = re.compile(r"(?<!\\)\\([\"'])")
_TAB_AFTER_BREAK = re.compile(r"(?<=\n)\\t")
_DRIVE = re.compile(r"(?:^|[^A-Za-z])[A-Za-z]:(?:\\|$)")
_FILE_LIKE = re.compile(r"[A-Za-z_]*(?:\.[A-Za-z]\w*|\\\w)")
_ENDS_A_PHRASE = frozenset(".!?:;,)]}\"'”’»*_…—–")
# Commands of LaTeX and AMS-LaTeX that begin with n.
_LATEX = frozenset(
    """
    nabla natural ncong ne nearrow neg neq newcommand newenvironment newline newpage newtheorem nexists
    ngeq ngtr ni nleftarrow nleq nless nmid nobreak nocite noindent nolimits nonumber normalfont
    normalsize not notag notin nparallel nprec nrightarrow nsubseteq nsucc nsupseteq nu nvdash nwarrow
    """.split()  # noqa: SIM905 - read as words
)


class Decoded(NamedTuple):
    """The text afterwards, how many escapes were replaced, and how many likely ones were left standing."""

    text: str
    replaced: int
    left: int


def decode_line_breaks(text: str) -> Decoded:
    """Replace the escaped line breaks of a text whose line breaks are all escaped."""
    if "\\n" not in text:
        return Decoded(text, 0, 0)
    runs = [(match, _judge(text, match)) for match in _RUN.finditer(text)]
    certain = sum(verdict is True for _, verdict in runs)
    unsure = sum(verdict is None for _, verdict in runs)
    if "\n" in text or not certain:
        return Decoded(text, 0, certain + unsure)
    verdicts = iter([verdict for _, verdict in runs])
    replaced = sum(match.group().count("\\n") for match, verdict in runs if verdict is not False)
    decoded = _RUN.sub(
        lambda match: match.group() if next(verdicts) is False else "\n" * match.group().count("\\n"), text
    )
    return _decode_companions(decoded, replaced) if decoded.strip() else Decoded(text, 0, certain + unsure)


def _judge(text: str, match: re.Match[str]) -> bool | None:
    """True: a line break. False: something else. None: a line break if the text has certain ones."""
    start, end = match.span()
    before, after = text[start - 1 : start], text[end : end + 1]
    if text.count("`", 0, start) % 2 or (before and before in "\"'" and after == before):
        return False
    if match.group().count("\\n") > 1:
        return True
    word = text[max(text.rfind(" ", 0, start), text.rfind("\n", 0, start)) + 1 : start]
    ends_sentence = before in set(".!?") and not after.islower()
    if after.isalpha() and not ends_sentence and _DRIVE.search(word):
        return False
    following = re.match(r"[A-Za-z]*", text[end:])
    command = "n" + (following.group() if following else "")
    if command != "n" and command in _LATEX:
        return False
    return _judge_by_neighbours(text, end, before, after)


def _judge_by_neighbours(text: str, end: int, before: str, after: str) -> bool | None:
    if before == " " and after in {"", " "} and text[: end - 2].rstrip(" ")[-1:] not in _ENDS_A_PHRASE:
        return None
    if not after.islower() or before in _ENDS_A_PHRASE:
        return True
    if not before or before.isspace() or _FILE_LIKE.match(text, end):
        return False
    return None


def _decode_companions(text: str, replaced: int) -> Decoded:
    """Escaped quotes, and tabs at the beginning of a line, which come with escaped line breaks."""
    if "`" not in text:
        text, quotes = _QUOTE.subn(r"\1", text)
        replaced += quotes
    text, tabs = _TAB_AFTER_BREAK.subn("\t", text)
    return Decoded(text, replaced + tabs, 0)
