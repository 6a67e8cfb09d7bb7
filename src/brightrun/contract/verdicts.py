"""What a comparison may claim, as jobs keep it and everyone shows it."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["better", "worse", "unclear", "too_few"]
VERDICTS: dict[Verdict, str] = {
    "better": "Better",
    "worse": "Worse",
    "unclear": "No clear change",
    "too_few": "Too few to say",
}
"""In words."""
