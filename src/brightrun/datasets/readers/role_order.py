"""The order every conversation must have: answer and client take turns; a greeting may come before the client, and
tools answer the calls of an answer before it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.templating.messages import Role

WORDS: dict[Role, str] = {
    "user": "client (user)",
    "assistant": "answer (assistant)",
    "system": "system prompt",
    "tool": "result (tool)",
}

_MERGE = "Turns must alternate. Join turns of one side that follow one another with --merge-turns, or repair the file."
_SYSTEM = "A system prompt can only stand at the beginning; move it there, or remove it."


def check_role_order(
    roles: Sequence[Role], place: Callable[[int], str], *, greets: bool = True, calls: Sequence[int] = ()
) -> None:
    """Raises UnreadableRecordError: two turns of one side in a row, a system prompt between turns, a lacking result.

    `place` tells where a message stands, by its index; `greets`: the assistant may begin. `calls`: how many tools each
    turn calls.
    """
    expected: Role = "assistant" if greets and roles[:1] == ["assistant"] else "user"
    awaited = 0
    for number, role in enumerate(roles, start=1):
        if role == "tool" and awaited:
            awaited -= 1
            expected = "tool" if awaited else "assistant"
            continue
        if role == "tool":
            raise UnreadableRecordError(
                place(number - 1),
                f"turn {number} is the result of a tool, and no call asks for it",
                hint="Put the call into the assistant's turn before it (`tool_calls`).",
                details={"turn": number},
            )
        if role != expected:
            raise UnreadableRecordError(
                place(number - 1),
                f"roles are out of order: turn {number} should be the {WORDS[expected]}, found the {WORDS[role]}",
                hint=_MERGE if role != "system" else _SYSTEM,
                offers=None if role == "system" or not greets else ("merge_turns", "true"),
                details={"turn": number},
            )
        awaited = calls[number - 1] if calls else 0
        expected = "tool" if awaited else "assistant" if role == "user" else "user"


def check_has_answers(answers: int, place: str) -> None:
    """Raises UnreadableRecordError: there is nothing to learn from."""
    if not answers:
        raise UnreadableRecordError(
            place,
            "the conversation has no answers",
            hint="Remove conversations without an answer from the file.",
        )
