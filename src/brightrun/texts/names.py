"""Names of people, places and firms in a text, told by their capital letters where a script has any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

NOUNS_ARE_CAPITALIZED = 0.15
"""From this share on of the words within sentences a language writes more than names with capitals, as German does
(a quarter and more; English texts of this product's sample have 3 %)."""

_WORD = re.compile(r"[^\W\d_][\w’'-]*")
_OPENS = re.compile(r"(?:^|[.!?:;…\u3002\uff01\uff1f]|[\n\r])[\s\"'“”‘’«»()\[\]*_#>•–—-]*(?:\d+[.)]\s*)?[\"'“‘*_]*$")
_ENDING = re.compile(r"['’](?:s|m|d|ll|re|ve|t)?$")  # of a possessive or a contraction
_LOOKED_AT_BEFORE = 40
_SHORTEST = 3
_CALENDAR = frozenset({
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
})  # fmt: skip


def capitalized_words(text: str) -> set[str]:
    """Every word that begins with a capital, wherever it stands, without the ending of a possessive."""
    return {_bare(word) for word in _WORD.findall(text) if word[0].isupper()}


def names_in(text: str) -> list[str]:
    """Capitalized words within sentences, each once, in order: what opens a sentence or a line may be any word.

    Days, months, abbreviations and what is left of contractions are no names.
    """
    return list(dict.fromkeys(name for name in map(_name, _inner_words(text)) if name is not None))


def known_names(texts: Iterable[str]) -> frozenset[str] | None:
    """Every capitalized word of a dataset, read once; None where capitals do not tell a name.

    They do not where `NOUNS_ARE_CAPITALIZED` of the words within sentences, or more, have one.
    """
    known: set[str] = set()
    words = capitals = 0
    for text in texts:
        known |= capitalized_words(text)
        for word in _inner_words(text):
            words += 1
            capitals += word[0].isupper() and len(word) >= _SHORTEST
    return None if capitals >= NOUNS_ARE_CAPITALIZED * max(words, 1) else frozenset(known)


def _inner_words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(text):
        if not _OPENS.search(text[max(0, match.start() - _LOOKED_AT_BEFORE) : match.start()]):
            yield match.group()


def _name(word: str) -> str | None:
    bare = _bare(word)
    told = bare[:1].isupper() and len(bare) >= _SHORTEST and not bare.isupper() and bare not in _CALENDAR
    return bare if told else None


def _bare(word: str) -> str:
    return _ENDING.sub("", word)
