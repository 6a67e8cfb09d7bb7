"""What a comparison may claim, as jobs keep it and everyone shows it."""

from __future__ import annotations

from typing import Literal

ChangeVerdict = Literal["better", "worse", "unclear", "too_few"]
"""What may be claimed of a change of the loss."""

Verdict = Literal["better", "better_but_look", "worse", "unclear", "too_few"]
"""What may be claimed of a run: its loss, and whether its words can be shown."""

VERDICTS: dict[Verdict, str] = {
    "better": "Better",
    "better_but_look": "Better, but look at these answers",
    "worse": "Worse",
    "unclear": "No clear change",
    "too_few": "Too few to say",
}
"""In words."""

CHIPS: dict[Verdict, str] = {**VERDICTS, "better_but_look": "Better, but look"}
"""In the few words that a list has room for."""
