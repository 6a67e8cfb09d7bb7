"""The order every conversation must have: answer and client take turns; a greeting may come before the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.templating.messages import Role

WORDS: dict[Role, str] = {
    "user": "client (user)",
    "assistant": "answer (assistant)",
    "system": "system prompt",
}

_MERGE = "Turns must alternate. Join turns of one side that follow one another with --merge-turns, or repair the file."
_SYSTEM = "A system prompt can only stand at the beginning; move it there, or remove it."


def check_role_order(roles: Sequence[Role], place: Callable[[int], str], *, greets: bool = True) -> None:
    """Raises UnreadableRecordError: two turns of one side in a row, a system prompt between turns.

    `place` tells where a message stands, by its index; `greets`: the assistant may begin.
    """
    expected: Role = "assistant" if greets and roles[:1] == ["assistant"] else "user"
    for number, role in enumerate(roles, start=1):
        if role != expected:
            raise UnreadableRecordError(
                place(number - 1),
                f"roles are out of order: turn {number} should be the {WORDS[expected]}, found the {WORDS[role]}",
                hint=_MERGE if role != "system" else _SYSTEM,
                offers=None if role == "system" or not greets else ("merge_turns", "true"),
                details={"turn": number},
            )
        expected = "assistant" if role == "user" else "user"


def check_has_answers(answers: int, place: str) -> None:
    """Raises UnreadableRecordError: there is nothing to learn from."""
    if not answers:
        raise UnreadableRecordError(
            place,
            "the conversation has no answers",
            hint="Remove conversations without an answer from the file.",
        )
