"""Fields of the file that nobody reads. Nothing of a file goes unused without a word."""

from __future__ import annotations

from typing import Any

from brightrun.datasets.findings import Finding, Tally, excerpt

NAME = "unread_fields"
EXPLANATION_TELLING = (
    "These fields hold text, or by their name say something about the answers, and are not used: everything is read "
    "and trained on as if they were not there."
)
EXPLANATION = "These fields are not used. By their names and values they are ids, names and figures about the records."
FIX_TELLING = (
    "Where a field decides what is to be learned, act on it before: remove the records, or write a `weight` of 0. "
    "Where it is the question, the answer or the system prompt, say so with --map KEY=MEANING."
)
FIX = "Nothing to do."
# Say something about the text that people expect to count, and that is not used.
_TELLING = {
    "split": "a division into parts; the validation conversations are drawn anew",
    "subset": "a division into parts; the validation conversations are drawn anew",
    "partition": "a division into parts; the validation conversations are drawn anew",
    "fold": "a division into parts; the validation conversations are drawn anew",
    "label": "a label",
    "rating": "a rating", "ratings": "a rating", "score": "a rating", "quality": "a rating", "stars": "a rating",
    "quality_score": "a rating", "feedback": "a rating", "thumbs": "a rating", "grade": "a rating",
    "accepted": "a rating", "approved": "a rating", "status": "a rating", "flagged": "a rating",
    "desirable": "a rating", "is_desirable": "a rating", "kto_tag": "a rating", "thumbs_up": "a rating",
    "thumbs_down": "a rating", "upvotes": "a rating", "likes": "a rating", "is_good": "a rating", "valid": "a rating",
    "is_valid": "a rating", "correct": "a rating", "is_correct": "a rating", "keep": "a rating", "include": "a rating",
    "ignore": "a rating", "hidden": "a rating", "blocked": "a rating", "spam": "a rating", "verdict": "a rating",
    "review": "a rating", "reviewed": "a rating", "preferred_label": "a rating", "reject": "a rating",
    "is_safe": "a rating", "toxicity": "a rating", "deleted": "a rating", "skip": "a rating", "exclude": "a rating",
}  # fmt: skip

_MAX_FIELDS = 200
_EXAMPLE_CHARACTERS = 60
_WORDS_OF_A_NAME = 3


class UnreadFields:
    """Counts by key; keys beyond the first 200 are counted together."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}
        self._telling: dict[str, str] = {}
        self._beyond = 0

    def add(self, where: str, name: str, key: str, value: Any) -> None:
        """Count a field. `where` says of what it is, such as `turn`; `name` is the key's plain name."""
        shown = f"{where}{key}"
        if shown not in self._counts:
            if len(self._counts) >= _MAX_FIELDS:
                self._beyond += 1
                return
            self._counts[shown], self._examples[shown] = 0, _shown(value)
        self._counts[shown] += 1
        if shown not in self._telling and _is_telling(name, value):
            self._telling[shown] = _TELLING.get(name, "")
            self._examples[shown] = _shown(value)

    def findings(self) -> list[Finding]:
        telling, others = Tally(shown=_MAX_FIELDS), Tally(shown=_MAX_FIELDS)
        for key, count in self._counts.items():
            times = "once" if count == 1 else f"{count:,} times"
            what = f" ({self._telling[key]})" if self._telling.get(key) else ""
            (telling if key in self._telling else others).add(f"`{key}`{what}, {times}: {self._examples[key]}")
        if self._beyond:
            others.add(f"{self._beyond:,} more fields under still other keys")
        return [
            *telling.finding(NAME, "warning", EXPLANATION_TELLING, FIX_TELLING),
            *others.finding(NAME, "info", EXPLANATION, FIX),
        ]


def _shown(value: Any) -> str:
    text = excerpt(value if isinstance(value, str) else f"{value!r:.200}")
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[:_EXAMPLE_CHARACTERS] + "…"


def _is_telling(name: str, value: Any) -> bool:
    """Whether the field is likely to matter: its name says so, or it holds a text of several words."""
    if name in _TELLING:
        return True
    return isinstance(value, str) and len(value.split()) > _WORDS_OF_A_NAME
