"""Characters that no text has: NUL, terminal escapes and other controls."""

from __future__ import annotations

import re

from brightrun.datasets.checks.garbled_text import garbled_fragment
from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.findings import excerpt

NAME = "control_characters"
EXPLANATION = (
    "These texts contain control characters, such as NUL or the beginning of a terminal's color code. Nobody types "
    "them, and a model trained on them writes them."
)
FIX = "Remove the characters; where color codes are left over, remove the whole code, as in `[31m`."

# The control characters of Unicode (category Cc) but tab, line feed and carriage return; halves of characters, which
# no encoding has; and the last two of the basic plane, which are no characters.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UPPER_HALF = range(0x80, 0xA0)


class ControlCharacters(TextCheck):
    name, explanation, fix = NAME, EXPLANATION, FIX

    def describe(self, text: str) -> str | None:
        first = _CONTROL.search(text)
        if first is None:
            return None
        found = sorted(set(map(ord, _CONTROL.findall(text))))
        if garbled_fragment(text) is not None:
            found = [code for code in found if code not in _UPPER_HALF]  # left of an encoding, and told as such
        if not found:
            return None
        names = ", ".join(f"U+{code:04X}" for code in found[:5])
        return f"{names} at character {first.start() + 1}: {excerpt(text[max(0, first.start() - 40) :])}"
