"""The repair log: one line for every repair, exclude and drop, so that nothing changes silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RepairKind = Literal["json_repair", "repair", "exclude", "drop", "left_out", "merge"]


class RepairLogEntry(BaseModel):
    """One act on the data. Absent fields are not known or do not apply."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: RepairKind
    check: str = Field(description="The check that asked for it.")
    reason: str
    conversation: str | None = None
    turn: int | None = None
    line: int | None = Field(None, description="Line of the file, for repairs of its syntax.")
    column: int | None = None
    replaced: int | None = Field(None, description="How many escape sequences a repair replaced.")
    tokens: int | None = Field(None, description="Length of a dropped conversation.")
    limit: int | None = Field(None, description="The maximum length in tokens that it exceeded.")
    answers_lost: int | None = None
    trained_tokens_lost: int | None = None


Log = Callable[[RepairLogEntry], None]


def discard(_entry: RepairLogEntry) -> None:
    """For an audit, which only reports."""
