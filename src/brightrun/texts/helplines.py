"""Whether a text points a person in crisis to a helpline."""

from __future__ import annotations

import re

from brightrun.texts.letter_case import may_hold

_CRISIS = re.compile(
    r"(?<![\d$€£.,-])988(?![\d%]|[.,-]\d| "
    r"dollars)|\b(?:suicide|crisis)\b[^.\n]{0,30}\b(?:life|hot|help)?line\b|"
    r"\bcrisis text line\b|\bsamaritans\b|\blifeline\.org\b",
    re.IGNORECASE,
)
_WORDS = ("988", "crisis", "suicide", "samaritans", "lifeline")  # one of them stands wherever it matches


def names_helpline(text: str) -> bool:
    """Whether a crisis line is named, in words or by its number."""
    return may_hold(text, _WORDS) and _CRISIS.search(text) is not None
