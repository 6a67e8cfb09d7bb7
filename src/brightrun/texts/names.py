"""Names of people, places and firms in a text, told by their capital letters where a script has any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

NOUNS_ARE_CAPITALIZED = 0.15
"""From this share on of the words within sentences a language writes more than names with capitals, as German does
(a quarter and more; English texts of this product's sample have 3 %)."""

_WORD = re.compile(r"[^\W\d_][\w’'-]*")
_OPENS = re.compile(r"(?:^|[.!?:;…\u3002\uff01\uff1f]|[\n\r])[\s\"'“”‘’«»()\[\]*_#>•–—-]*(?:\d+[.)]\s*)?[\"'“‘*_]*$")
_POSSESSIVE = re.compile(r"['’]s?$")
_LOOKED_AT_BEFORE = 40
_SHORTEST = 3


def capitalized_words(text: str) -> set[str]:
    """Every word that begins with a capital, wherever it stands, without a possessive ending."""
    return {_bare(word) for word in _WORD.findall(text) if word[0].isupper()}


def names_in(text: str) -> list[str]:
    """Capitalized words within sentences, each once, in order: what opens a sentence or a line may be any word."""
    names = dict.fromkeys(_bare(word) for word in _inner_words(text) if word[0].isupper())
    return [name for name in names if len(name) >= _SHORTEST and not name.isupper()]


def capitalizes_nouns(texts: Iterable[str]) -> bool:
    """Whether so many words within sentences begin with a capital that it does not tell a name."""
    words = capitals = 0
    for text in texts:
        for word in _inner_words(text):
            words += 1
            capitals += word[0].isupper() and len(word) >= _SHORTEST
    return capitals >= NOUNS_ARE_CAPITALIZED * max(words, 1)


def _inner_words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        if not _OPENS.search(text[max(0, match.start() - _LOOKED_AT_BEFORE) : match.start()]):
            yield match.group()


def _bare(word: str) -> str:
    return _POSSESSIVE.sub("", word)
