"""Places of a template that nobody filled in, such as `[Your Name]` or `{customer_name}`."""

from __future__ import annotations

import re

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.code_spans import without_code
from brightrun.datasets.findings import excerpt

NAME = "placeholders"
EXPLANATION = (
    "These texts hold places of a template that nobody filled in, such as `[Your Name]` or `{customer_name}`. A model "
    "trained on them says them to people."
)
FIX = "Fill them in or write around them; where the text is a template that a person shall fill in, keep it."

_THINGS = (
    "name|names|address|city|town|state|country|street|zip|postcode|date|dates|time|day|month|year|phone|telephone|number|"
    "email|e-mail|mail|company|organization|organisation|business|employer|client|customer|user|username|person|people|"
    "recipient|sender|manager|department|product|service|title|position|role|amount|price|link|url|website|location|"
    "place|signature|insert|enter|your|placeholder|redacted|tbd|todo"
)
_MAX_WORDS = 8
_LOOKED_BACK = 1000  # characters
_WORDS = re.compile(rf"\b(?:{_THINGS})s?\b", re.IGNORECASE)
# In square brackets, with up to eight words.
_BRACKETS = re.compile(r"\[([A-Za-z][A-Za-z'’_ /-]{1,60}[A-Za-z0-9])\](?![(\[:])")
# In braces, as Python, Jinja, JavaScript and mustache write it; none of LaTeX or of sets.
_DOUBLE_BRACES = re.compile(r"\{\{\s*[A-Za-z_][\w. |-]{0,40}\}\}")
_BRACES = re.compile(r"\{[A-Za-z_][A-Za-z0-9_ .]{2,40}\}(?!\})")
_ANGLES = re.compile(r"<([A-Z][A-Z_ -]{2,30}|(?:[Yy]our|[Ii]nsert|[Ee]nter) [^<>\n]{2,40})>")
_PERCENT = re.compile(r"%(?:[sd]\b|\(\w+\)[sd])")
_WITHOUT_SIGNS = {
    "XXXX": re.compile(r"\bX{4,}\b"),
    "TODO": re.compile(r"\bTODO\b(?=:|\s*$)"),
    "FIXME": re.compile(r"\bFIXME\b"),
    "orem ipsum": re.compile(r"[Ll]orem ipsum"),
}
# What stands before brackets that are no placeholder: links and arrays, LaTeX and sets, percentages.
_NO_BRACKETS_AFTER = re.compile(r"[\w\]!\\]$")
_NO_BRACES_AFTER = re.compile(r"[\w\\^{}]$")
_NO_PERCENT_AFTER = re.compile(r"[\w%]$|[0-9] $")
_OPENS_A_QUOTATION = re.compile(r"(?:^|[\s(])[\"“'‘„«]|^>", re.MULTILINE)
_ENDS_A_QUOTATION = re.compile(r"[\"”'’»](?=[\s,.;:!?)—–]|$)", re.MULTILINE)


class Placeholders(TextCheck):
    """Words in brackets inside a quotation are not counted: an answer tells what to say or write, and where."""

    name, explanation, fix = NAME, EXPLANATION, FIX

    def describe(self, text: str) -> str | None:
        start = find_placeholder(text)
        if start is None:
            return None
        return f"at character {start + 1}: {excerpt(text[max(0, start - 30) :])}"


def find_placeholder(text: str) -> int | None:
    """Where the first one of a kind begins, or None."""
    signs = [sign for sign in "[{<%" if sign in text]
    words = [word for word in _WITHOUT_SIGNS if word in text]
    if not signs and not words:
        return None
    prose = without_code(text)
    found = [_FINDERS[sign](prose) for sign in signs]
    for word in words:
        found += [match.start() for match in _WITHOUT_SIGNS[word].finditer(prose)]
    return next((start for start in found if start is not None), None)


def _in_brackets(prose: str) -> int | None:
    for match in _BRACKETS.finditer(prose):
        named = _names_a_thing(match.group(1)) and not _NO_BRACKETS_AFTER.search(prose[: match.start()][-1:])
        if named and not _is_quoted(prose, match.start()):
            return match.start()
    return None


def _in_angles(prose: str) -> int | None:
    return next((match.start() for match in _ANGLES.finditer(prose) if _names_a_thing(match.group(1))), None)


def _in_braces(prose: str) -> int | None:
    if (double := _DOUBLE_BRACES.search(prose)) is not None:
        return double.start()
    return _first(_BRACES, prose, not_after=_NO_BRACES_AFTER)


def _of_percent(prose: str) -> int | None:
    return _first(_PERCENT, prose, not_after=_NO_PERCENT_AFTER)


_FINDERS = {"[": _in_brackets, "<": _in_angles, "{": _in_braces, "%": _of_percent}


def _first(pattern: re.Pattern[str], prose: str, *, not_after: re.Pattern[str]) -> int | None:
    starts = (match.start() for match in pattern.finditer(prose))
    return next((start for start in starts if not not_after.search(prose[max(0, start - 2) : start])), None)


def _names_a_thing(inner: str) -> bool:
    """Whether these are a few words with one that forms ask for."""
    return _WORDS.search(inner.replace("_", " ")) is not None and len(inner.split()) <= _MAX_WORDS


def _is_quoted(prose: str, at: int) -> bool:
    """Whether a quotation that begins in the same paragraph is not over."""
    start = max(at - _LOOKED_BACK, prose.rfind("\n\n", max(0, at - _LOOKED_BACK), at) + 1)
    before = prose[max(0, start) : at]
    return len(_OPENS_A_QUOTATION.findall(before)) > len(_ENDS_A_QUOTATION.findall(before))
