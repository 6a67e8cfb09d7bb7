"""How a file of conversations is to be read: what may be repaired, and what happens to the rest."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReadOptions(BaseModel):
    """Decisions of the person who gives the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repair: bool = Field(
        default=True,
        description=("Turn escaped line breaks into real ones, each logged. Off: those answers are quarantined."),
    )
    repair_json: bool = Field(
        default=False,
        description=("Remove backslashes that stand outside strings when the file is not valid JSON, each logged."),
    )
    client_profile: Literal["keep", "system_prompt"] = Field(
        "keep",
        description="Leave the system prompt as it is, or append the client's persona and background to it.",
    )
    max_seq_length: int | None = Field(
        None, ge=16, description="Longest sequence in tokens; absent means as long as the data needs."
    )
    overlength_policy: Literal["refuse", "drop"] = Field(
        "refuse",
        description="Refuse the file if a conversation is longer, or drop that conversation into the ledger.",
    )
