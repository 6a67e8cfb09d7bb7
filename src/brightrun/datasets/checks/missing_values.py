"""Texts that are only the mark of a missing value, such as `nan`: an export wrote "nothing" as a word."""

from __future__ import annotations

import re

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Severity, excerpt

NAME = "missing_values"
EXPLANATION = (
    "These texts are nothing but a word for a missing value, as an export from a table or a forum writes it. "
    "A model trained on them answers with that word."
)
FIX = (
    "Remove these rows, or export them again with empty cells left empty. Where the word is the right answer, keep it."
)

# What pandas reads as missing (`read_csv`, na_values), errors of spreadsheets, and what forums leave of a deleted post.
_WORDS = frozenset(
    """
    nan -nan #nan none null nil n/a na #n/a <na> #na undefined void nat missing (null) (none) (blank) (empty) [removed]
    [deleted] [deleted_by_user] <removed> <null> <none> #ref! #value! #name? #null! #num! #div/0! - -- --- – — _ ? \\n
    [] {} "" '' [object_object] not_available not_applicable no_data empty
    """.split()  # noqa: SIM905 - read as words
)
_LONGEST = max(map(len, _WORDS)) + 2
# What becomes of the empty second field of an instruction.
_LAST_PARAGRAPH = re.compile(r"\n\s*\n\s*(nan|none|null|n/a|<na>|#n/a|undefined)\s*$", re.IGNORECASE)


def missing_value(text: str) -> str | None:
    """The word, where the whole text is one."""
    if len(text) > 4 * _LONGEST:
        return None
    trimmed = text.strip()
    return trimmed if trimmed.casefold().replace(" ", "_") in _WORDS else None


class MissingValues(TextCheck):
    """An error where it is every answer of a file that is to be trained on."""

    name, explanation, fix = NAME, EXPLANATION, FIX

    def __init__(self) -> None:
        super().__init__()
        self._conversations = 0
        self._trainable = 0

    def inspect(self, conversation: Conversation) -> None:
        self._conversations += 1
        self._trainable += conversation.trainable_answers
        super().inspect(conversation)

    def describe(self, text: str) -> str | None:
        value = missing_value(text)
        if value is not None:
            return f"the whole text is {value!r}"
        end = text[-4 * _LONGEST :]
        match = _LAST_PARAGRAPH.search(end) if "\n" in end else None
        return None if match is None else f"{match.group(1)!r} is the last paragraph of: {excerpt(text)}"

    def severity(self) -> Severity:
        every = self._conversations > 1 and self.trained == self._trainable > 0
        return "error" if every else "warning"
