"""What goes wrong with a pretend machine, written down before it happens; the same seed tells the same story."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from brightrun.compute.base import MachineWish
from brightrun.contract.states import EndReason


@dataclass(frozen=True, slots=True)
class Mishaps:
    """The fate of one pretend machine; as it stands, nothing goes wrong.

    Attributes:
        refusals: So many launches answer NoCapacity first.
        refused: The launch is refused for good.
        answers_lost: So many launches act, then raise ComputeError as if the answer was lost.
        stillborn: The machine is gone before its worker answers.
        silent_from_step: From this step on the worker does not answer, though the provider says running.
        silent_for: Then it answers again; None: never.
        dies_at_step: The machine is gone when it reaches this step.
        fails_at_step: The training process ends there with `fails_with`; the machine stays.
        ends_ignored: So many `end` calls are accepted and nothing happens.
        end_takes_looks: After an `end` that works, so many looks still show it running.
    """

    refusals: int = 0
    refused: bool = False
    answers_lost: int = 0
    stillborn: bool = False
    silent_from_step: int | None = None
    silent_for: timedelta | None = None
    dies_at_step: int | None = None
    fails_at_step: int | None = None
    fails_with: EndReason = EndReason.OUT_OF_MEMORY
    ends_ignored: int = 0
    end_takes_looks: int = 0


MishapScript = Callable[[MachineWish], Mishaps]


def nothing_goes_wrong(_wish: MachineWish) -> Mishaps:
    return Mishaps()


def seeded_mishaps(seed: int, *, chance: float = 0.2, steps: int = 12) -> MishapScript:
    """A script in which each mishap befalls a machine with probability `chance`.

    It depends on the seed and the machine's name only, not on the order of launches.
    """

    def script(wish: MachineWish) -> Mishaps:
        dice = random.Random(f"{seed}:{wish.name}")  # noqa: S311 a story, not a secret

        def befalls() -> bool:
            return dice.random() < chance

        return Mishaps(
            refusals=dice.randint(1, 3) if befalls() else 0,
            answers_lost=1 if befalls() else 0,
            stillborn=befalls() and befalls(),
            silent_from_step=dice.randint(1, steps) if befalls() else None,
            silent_for=timedelta(seconds=dice.randint(5, 900)) if dice.random() < 0.7 else None,
            dies_at_step=dice.randint(1, steps) if befalls() else None,
            fails_at_step=dice.randint(1, steps) if befalls() else None,
            fails_with=dice.choice([EndReason.OUT_OF_MEMORY, EndReason.DISK_FULL, EndReason.INTERNAL]),
            ends_ignored=dice.randint(1, 2) if befalls() else 0,
            end_takes_looks=dice.randint(1, 4) if befalls() else 0,
        )

    return script
