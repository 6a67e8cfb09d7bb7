"""What the tests of the checks of texts share: conversations of a few texts, and what a check says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.findings import Finding
from tests.unit.test_datasets_builders import (
    SYSTEM,
    answer_about,
    audit,
    chat_record,
    write_lines,
)

LONG = answer_about("rent")


def talk(*texts: str, system: str | None = SYSTEM, name: str = "one") -> Conversation:
    turns = [
        Turn(number, "user" if number % 2 else "assistant", text, target=number % 2 == 0)
        for number, text in enumerate(texts, start=1)
    ]
    return Conversation(id=name, place="line 1", system=system, turns=tuple(turns))


def found_in(check: TextCheck, *texts: str, system: str | None = SYSTEM) -> list[Finding]:
    check.inspect(talk(*texts, system=system))
    return check.findings()


def found_in_answer(check: TextCheck, answer: str, *, system: str | None = SYSTEM) -> bool:
    return bool(found_in(check, "May I ask?", answer, system=system))


def audited(folder: Path, *conversations: Sequence[str], system: str | None = SYSTEM) -> AuditReport:
    return audit(write_lines(folder / "chat.jsonl", [chat_record(texts, system=system) for texts in conversations]))
