"""The parts of a text that are code, which may hold what would be a defect in prose."""

from __future__ import annotations

import re
from itertools import pairwise

# As CommonMark 0.31 has them: fenced blocks (4.5), of which one that is never closed goes to the end, and spans (6.1)
# between two runs of backticks of one length, which stay within a paragraph.
_FENCED = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)", re.DOTALL | re.MULTILINE)
_BACKTICKS = re.compile("`+")


def without_code(text: str) -> str:
    """`text` with every character of its code blanked, so that places stay what they are."""
    if "```" in text or "~~~" in text:
        text = _FENCED.sub(lambda code: " " * len(code.group()), text)
    return _without_spans(text) if "`" in text else text


def _without_spans(text: str) -> str:
    runs = list(_BACKTICKS.finditer(text))
    by_length: dict[int, list[re.Match[str]]] = {}
    for run in runs:
        by_length.setdefault(len(run.group()), []).append(run)
    partners = {left.start(): right for same in by_length.values() for left, right in pairwise(same)}
    pieces, position = [], 0
    for run in runs:
        closing = partners.get(run.start())
        if run.start() < position or closing is None or text.find("\n\n", run.end(), closing.start()) >= 0:
            continue
        pieces += [text[position : run.start()], " " * (closing.end() - run.start())]
        position = closing.end()
    return "".join([*pieces, text[position:]])
