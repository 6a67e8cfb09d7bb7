"""Whether a text shows nothing at all: characters without width are no content."""

from __future__ import annotations

import re

# White space, controls, and the characters that Unicode tells programs to draw nothing for:
# `Default_Ignorable_Code_Point` of DerivedCoreProperties.txt, version 15.1. U+2800 is the Braille pattern without dots,
# which is drawn as a blank.
_VISIBLE = re.compile(
    "[^\\s\u0000-\u001f\u007f-\u009f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def is_blank_text(text: str) -> bool:
    """Whether nothing of `text` can be seen: it is empty, or only white space and characters without width."""
    return _VISIBLE.search(text) is None
