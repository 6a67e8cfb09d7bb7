"""HTML left in prose: entities such as `&amp;` and tags such as `<br>`, outside code."""

from __future__ import annotations

import re
from html.entities import html5

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.code_spans import without_code
from brightrun.datasets.findings import Severity, excerpt

NAME = "html_remnants"
EXPLANATION = (
    "These texts hold HTML outside code: entities such as `&amp;`, or tags such as `<br>`. A model trained on them "
    "writes HTML where people expect text."
)
FIX = "Turn entities into their characters and tags into Markdown or nothing; put HTML that is meant into backticks."

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,30}));")
_NAMES = (
    "a|abbr|article|b|big|blockquote|body|br|button|center|code|div|em|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|"
    "img|input|label|li|link|main|meta|nav|ol|option|p|pre|script|section|select|small|span|strike|strong|style|table|"
    "tbody|td|textarea|tfoot|th|thead|title|tr|u|ul|video"
)
# Closing tags, tags that stand alone, and opening tags with attributes. An opening tag without attributes is not looked
# for: in a text that names a tag it stands alone, and in a text that is HTML its closing tag stands, too.
_TAG = re.compile(
    rf"</(?:{_NAMES})\s*>|<(?:br|hr|p)\s*/?>|<(?:{_NAMES})(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s<>\"']+))+\s*/?>",
    re.IGNORECASE,
)


class HtmlRemnants(TextCheck):
    """Only information where it is all in user turns: people paste pages."""

    name, explanation, fix = NAME, EXPLANATION, FIX

    def describe(self, text: str) -> str | None:
        if "&" not in text and "<" not in text:
            return None
        prose = without_code(text)
        match = _entity(prose) or _TAG.search(prose)
        if match is None:
            return None
        return f"{match.group()[:40]!r}: {excerpt(text[max(0, match.start() - 30) :])}"

    def severity(self) -> Severity:
        return "info" if self.by_role["user"] == self.found.count else "warning"


def _entity(prose: str) -> re.Match[str] | None:
    if "&" not in prose or ";" not in prose:
        return None
    matches = _ENTITY.finditer(prose)
    return next((each for each in matches if each.group(1) is None or f"{each.group(1)};" in html5), None)
