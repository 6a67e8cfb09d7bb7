"""Foreign text made safe inside Markdown and YAML."""

from __future__ import annotations

import json
import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&$])")
_LEADING = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[#+=-]))([#+=.)-])")  # these begin headings, lists and underlines
_LINK = re.compile(r"(?<=www)\.|:(?=//)", re.IGNORECASE)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]+")


def one_line(text: object) -> str:
    """The text on one line, without control characters."""
    return " ".join(_UNPRINTABLE.sub(" ", str(text)).split())


def markdown_text(text: object) -> str:
    """The text as itself inside a paragraph or a table cell, never as markup or a link."""
    escaped = _SPECIAL.sub(r"\\\1", one_line(text))
    return _LINK.sub(r"\\\g<0>", _LEADING.sub(r"\1\\\2", escaped))


def markdown_code(text: object) -> str:
    """The text as a code span that its own back-ticks cannot end."""
    line = one_line(text)
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    if not line:
        return "(empty)"
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")


def quoted(text: object) -> str:
    """A double-quoted string that YAML, JSON and Python all read as this text."""
    return json.dumps(one_line(text), ensure_ascii=False)
