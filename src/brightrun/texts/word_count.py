"""How many words a text has, whatever its script: some write no blanks between words."""

from __future__ import annotations

import math
import re

HAN_PER_WORD = 1.5
"""Translators' convention for Chinese: a text of 1,000 English words has 1,300 to 1,800 characters
(anycount.com, "Word count in Oriental languages")."""
KANA_PER_WORD = 3.0
"""So that Japanese, of which a quarter to a third is Han, comes out at 2.3 to 2.4 characters a word; translators divide
by 2.5 (anycount.com, "What count units do translators use")."""
SOUTHEAST_ASIAN_PER_WORD = 4.0
"""Thai: a character, marks included, counts as a quarter of a word (gotranscript.com, "Word count"). Taken for Lao,
Khmer and Burmese too, which are written alike."""

# Unicode blocks: CJK ideographs with extensions and compatibility forms, hiragana and katakana, Thai to Myanmar, Khmer.
_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_KANA = re.compile("[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d]")
_SOUTHEAST_ASIAN = re.compile("[\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17d3]")
_WITHOUT_BLANKS = re.compile(f"[{_HAN.pattern[1:-1]}{_KANA.pattern[1:-1]}{_SOUTHEAST_ASIAN.pattern[1:-1]}]")
_RATIOS = ((_HAN, HAN_PER_WORD), (_KANA, KANA_PER_WORD), (_SOUTHEAST_ASIAN, SOUTHEAST_ASIAN_PER_WORD))
_HAS_LETTER_OR_DIGIT = re.compile(r"\w")
_UNITS = re.compile(f"{_WITHOUT_BLANKS.pattern}|(?:(?!{_WITHOUT_BLANKS.pattern})\\w)+")


def count_words(text: str) -> int:
    """Words as blanks divide them, and for scripts without blanks their characters by a convention, summed.

    Korean is written with blanks and counts by them.
    """
    if text.isascii() or _WITHOUT_BLANKS.search(text) is None:
        return len(text.split())
    words = 0.0
    for script, characters in _RATIOS:
        text, count = script.subn(" ", text)
        words += count / characters
    rest = sum(_HAS_LETTER_OR_DIGIT.search(word) is not None for word in text.split())  # no marks that stood between
    return rest + math.ceil(words)


def text_units(text: str) -> list[tuple[int, int]]:
    """Where each word stands, as half-open ranges; of scripts without blanks, where each character does."""
    return [match.span() for match in _UNITS.finditer(text)]


def counts_characters(text: str) -> bool:
    """Whether most of a text's units are characters of scripts without blanks."""
    return 2 * len(_WITHOUT_BLANKS.findall(text)) > len(_UNITS.findall(text))
