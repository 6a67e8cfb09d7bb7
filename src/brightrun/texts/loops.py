"""Whether a text says the same over and over, as a model in a loop does."""

from __future__ import annotations

from collections import Counter

from brightrun.texts.word_count import count_words

_TIMES = 4
_ENDS = ".!?;…"
_ENDS_OF_OTHER_SCRIPTS = "\u3002\uff01\uff1f\u0964\u061f\u06d4"  # ideographic and Arabic marks, danda
_LOOP_WORDS = 40
_WORDS_LOOKED_AT = 1000  # a long honest text uses its words again; the end is where a loop is
_WORDS_PER_DIFFERENT_WORD = 10
_TAIL = 12


def repeated_sentence(text: str) -> str | None:
    """The sentence or line that stands there four times or more and makes up more than half of the letters."""
    if not _may_repeat(text):
        return None
    pieces = [piece.strip() for piece in _with_lines(text).split("\n")]
    if len(pieces) - len(set(pieces)) < _TIMES - 1:
        return None
    counts = Counter(filter(None, pieces))
    total = sum(map(len, pieces))
    for sentence, times in counts.most_common(3):
        if times >= _TIMES and 2 * times * len(sentence) > total and count_words(sentence) > 1:
            return sentence
    return None


def is_word_loop(text: str) -> bool:
    """Whether the last thousand words, at least forty, are made of a tenth as many different ones."""
    end = text[-_TAIL:]
    if text.find(end) + len(end) >= len(text):
        return False  # in a loop, the last characters came before; looking for them is fast
    words = text.split()[-_WORDS_LOOKED_AT:]
    return len(words) >= _LOOP_WORDS and len(set(words)) * _WORDS_PER_DIFFERENT_WORD <= len(words)


def _may_repeat(text: str) -> bool:
    """A fast look that passes few honest texts: between equal marks, at least two pieces came before."""
    for mark in "\n" + _marks(text):
        pieces = text.split(mark)
        if len(pieces) >= _TIMES and len(pieces) - pieces.count("") - len({*pieces} - {""}) >= _TIMES - 2:
            return True
    return False


def _with_lines(text: str) -> str:
    """Every sentence on a line of its own."""
    for mark in _marks(text):
        text = text.replace(mark, "\n")
    return text


def _marks(text: str) -> str:
    return _ENDS if text.isascii() else _ENDS + _ENDS_OF_OTHER_SCRIPTS


LOOP_TIMES = 3
"""A block of words that stands so often in a row at the end of a text is a loop."""
LOOP_WORDS_AT_LEAST = 18
"""So many words the repeats have together; fewer are emphasis ("no, no, no")."""
_LONGEST_BLOCK = 120


def ending_loop(text: str) -> str | None:
    """The block of words that the text says again and again at its end; None where it does not.

    A block cut off within its last repeat counts as repeated.
    """
    words = text.split()
    for length in range(1, min(_LONGEST_BLOCK, len(words) // LOOP_TIMES) + 1):
        same = 0
        while same + length < len(words) and words[-1 - same] == words[-1 - same - length]:
            same += 1
        if same + length >= max(LOOP_TIMES * length, LOOP_WORDS_AT_LEAST):
            return " ".join(words[-length:])
    return None


def repeated_share(text: str, *, words_at_once: int = 4) -> float:
    """The share of a text's runs of so many words that stood in it before; 0 for a text that is shorter."""
    words = text.casefold().split()
    runs = [tuple(words[start : start + words_at_once]) for start in range(len(words) - words_at_once + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
