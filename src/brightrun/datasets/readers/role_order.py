"""The order every conversation must have: the client begins, then answer and client take turns."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.templating.messages import Role

WORDS: dict[Role, str] = {
    "user": "client (user)",
    "assistant": "answer (assistant)",
    "system": "system prompt",
}


def check_role_order(roles: Sequence[Role], places: Sequence[str]) -> None:
    """Raises UnreadableRecordError: two turns of one side in a row, an answer first, or nothing at all."""
    expected: Role = "user"
    for number, (role, place) in enumerate(zip(roles, places, strict=True), start=1):
        if role != expected:
            raise UnreadableRecordError(
                place,
                f"roles are out of order: turn {number} should be the {WORDS[expected]}, found the {WORDS[role]}",
                hint=("Turns must alternate, beginning with the client; merge or remove the one that is out of order."),
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
