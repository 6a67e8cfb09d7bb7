"""What an act of the reconciler leaves to do for its job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Again:
    """Something changed: look at the job again at once."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing more can be done now; look again after the delay."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing will ever be due again."""


Outcome = Again | Wait | Settled
