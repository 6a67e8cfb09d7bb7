"""What a comparison will be able to say, before anything is trained: what it rests on, and what it could see."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from brightrun.evaluation.bootstrap import student_quantile, widening
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS
from brightrun.format import counted

USUAL_SPREAD = 0.02
"""Standard deviation between conversations of the relative change of the loss. On the sample dataset with SmolLM2 135M
and the quickstart recipe it was 0.018 over 7 conversations (2026-11-27); the figure is not known before a run."""


class Outlook(BaseModel):
    """What the verdict will rest on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conversations: int = Field(ge=0, description="Conversations kept for validation.")
    needed: int = Field(description="Below this many there is no verdict, whatever the run does.")
    smallest_change: float | None = Field(
        description="The smallest relative change of the loss that could be told from chance, with a usual spread "
        "between conversations; absent where no verdict is possible."
    )
    validation_fraction: float | None = Field(
        None, description="The share of the conversations that would make a verdict possible where it is not."
    )
    sentence: str

    @property
    def possible(self) -> bool:
        return self.conversations >= self.needed


def verdict_outlook(conversations: int, *, out_of: int | None = None) -> Outlook:
    """The outlook of a run that keeps so many conversations for validation.

    `out_of`: how many there are in all, where more of them could be kept.

    The smallest change is half the interval that conversations of equal size and of the usual spread would give
    (`bootstrap.ratio_intervals`): widening × spread × t(n - 1) / sqrt(n - 1).
    """
    rests = f"The verdict will rest on {counted(conversations, 'conversation')}"
    if conversations < MINIMUM_CONVERSATIONS:
        return Outlook(
            conversations=conversations,
            needed=MINIMUM_CONVERSATIONS,
            smallest_change=None,
            validation_fraction=None if out_of is None else _enough_of(out_of),
            sentence=f"{rests}; {MINIMUM_CONVERSATIONS} are needed, so it will be \u201cToo few to say\u201d whatever "
            "the run does.",
        )
    wide = float(widening(np.ones((1, conversations)))[0])
    student = student_quantile(0.95, conversations - 1)
    smallest = wide * USUAL_SPREAD * student / math.sqrt(conversations - 1)
    return Outlook(
        conversations=conversations,
        needed=MINIMUM_CONVERSATIONS,
        smallest_change=smallest,
        sentence=f"{rests}; it could tell a change of {_about(smallest)} from chance.",
    )


def _enough_of(conversations: int) -> float | None:
    """The share to keep for validation that makes a verdict possible; None where that would be more than half.

    The least number that is kept is three quarters of the share (`datasets/split.py`), rounded down.
    """
    for hundredths in range(1, 51):
        if math.floor(0.75 * conversations * hundredths / 100) >= MINIMUM_CONVERSATIONS:
            return hundredths / 100
    return None


def _about(change: float) -> str:
    return f"about {change * 100:.0f} %" if change >= 0.01 else "less than 1 %"
