"""Answers whose last sentence has no end. Suspicious and not certain, so they are trained on and shown."""

from __future__ import annotations

import re
from functools import partial

from brightrun.datasets.checks.truncated_answers import is_truncated
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.texts.word_count import count_words

NAME = "unfinished_answers"
EXPLANATION = "These answers end without a sentence's end and may have been cut. They are trained on as they are."
FIX = "Read the examples; where an answer was cut, export it again or remove the conversation."

_LIST_ITEM = re.compile(r"\s*(?:[-*•–#>|]|\d+[.)])")
_SIGNATURE_WORDS = 5
_ENDS_WITHOUT_A_MARK = re.compile("[\u0e01-\u0e59\u0e81-\u0ed9]$")  # Thai and Lao have no full stop


def seems_unfinished(text: str) -> bool:
    """Ends in a letter, a digit or a mark that promises more; the last line is no list item or signature."""
    ending = text.rstrip()
    if not ending or is_truncated(ending) or not (ending[-1].isalnum() or ending[-1] in ",;:-–—(&/"):
        return False
    *earlier, last = ending.splitlines()
    if _ENDS_WITHOUT_A_MARK.search(ending):
        return False
    if ending[-1] in ",;(&/":
        return True
    short = bool(earlier) and count_words(last) <= _SIGNATURE_WORDS
    return not (short or _LIST_ITEM.match(last) or _is_address(last))


class UnfinishedAnswers:
    def __init__(self) -> None:
        self._found = Tally()

    def inspect(self, conversation: Conversation) -> None:
        for turn in conversation.worded_answers:
            if turn.trainable and seems_unfinished(turn.content):
                detail = partial(excerpt, turn.content, end=True)
                self._found.add(detail, conversation=conversation.id, turn=turn.number)

    def findings(self) -> list[Finding]:
        return self._found.finding(NAME, "warning", EXPLANATION, FIX)


def _is_address(line: str) -> bool:
    """The last word is a link, a phone number or the like, which take no full stop."""
    word = line.rsplit(maxsplit=1)[-1]
    return "://" in word or "@" in word or bool(re.fullmatch(r"[\d()+-]{7,}", word))
