"""The parts of a text that are code, which may hold what would be a defect in prose."""

from __future__ import annotations

import re

# Fences and single backticks as CommonMark 0.31 has them (4.5, 6.1); a fence that is never closed goes to the end.
_CODE = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)|(?<!`)(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\2(?!`)", re.S | re.M)


def without_code(text: str) -> str:
    """`text` with every character of its code blanked, so that places stay what they are."""
    if "`" not in text and "~~~" not in text:
        return text
    return _CODE.sub(lambda code: " " * len(code.group()), text)
