"""How long something takes: expected seconds with their band, and how they were obtained."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field


class Duration(BaseModel):
    """Seconds with their band, and how they were obtained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected_seconds: float = Field(ge=0)
    low_seconds: float = Field(ge=0)
    high_seconds: float = Field(ge=0)
    obtained: str = Field(min_length=1, description="How the figure came about, in words for people.")

    def scaled(self, factor: float) -> Duration:
        """`factor` times as long, band and all."""
        return Duration(
            expected_seconds=self.expected_seconds * factor,
            low_seconds=self.low_seconds * factor,
            high_seconds=self.high_seconds * factor,
            obtained=self.obtained,
        )


def in_sequence(durations: Iterable[Duration], obtained: str | None = None) -> Duration:
    """One after the other. Bands add up, since what makes one slow (a busy machine) makes all slow."""
    parts = list(durations)
    words = "; ".join(dict.fromkeys(part.obtained for part in parts))
    return Duration(
        expected_seconds=sum(part.expected_seconds for part in parts),
        low_seconds=sum(part.low_seconds for part in parts),
        high_seconds=sum(part.high_seconds for part in parts),
        obtained=obtained or words or "nothing to do",
    )
