"""What goes wrong with a simulated machine, written down before it happens; the same seed tells the same story."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from brightrun.compute.base import MachineRequest
from brightrun.contract.states import EndReason


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The fate of one simulated machine; as it stands, nothing goes wrong.

    Attributes:
        refusals: So many launches answer NoCapacity first.
        refused: The launch is refused for good.
        answers_lost: So many launches act, then raise ComputeError as if the answer was lost.
        stillborn: The machine is gone before its worker answers.
        silent_from_step: From this step on the worker does not answer, though the provider says running.
        silent_for: Then it answers again; None: never.
        dies_at_step: The machine is gone when it reaches this step.
        fails_at_step: The training process ends there with `fails_with`; the machine stays.
        ignored_terminations: So many `end` calls are accepted and nothing happens.
        polls_until_terminated: After an `end` that works, so many looks still show it running.
    """

    refusals: int = 0
    refused: bool = False
    answers_lost: int = 0
    never_boots: bool = False
    silent_from_step: int | None = None
    silent_for: timedelta | None = None
    dies_at_step: int | None = None
    fails_at_step: int | None = None
    fails_with: EndReason = EndReason.OUT_OF_MEMORY
    ignored_terminations: int = 0
    polls_until_terminated: int = 0


FaultScript = Callable[[MachineRequest], FaultPlan]


def no_faults(_request: MachineRequest) -> FaultPlan:
    return FaultPlan()


def seeded_faults(seed: int, *, chance: float = 0.2, steps: int = 12) -> FaultScript:
    """A script in which each mishap befalls a machine with probability `chance`.

    It depends on the seed and the machine's name only, not on the order of launches.
    """

    def script(machine_request: MachineRequest) -> FaultPlan:
        dice = random.Random(f"{seed}:{machine_request.name}")  # noqa: S311 a story, not a secret

        def befalls() -> bool:
            return dice.random() < chance

        return FaultPlan(
            refusals=dice.randint(1, 3) if befalls() else 0,
            answers_lost=1 if befalls() else 0,
            never_boots=befalls() and befalls(),
            silent_from_step=dice.randint(1, steps) if befalls() else None,
            silent_for=timedelta(seconds=dice.randint(5, 900)) if dice.random() < 0.7 else None,
            dies_at_step=dice.randint(1, steps) if befalls() else None,
            fails_at_step=dice.randint(1, steps) if befalls() else None,
            fails_with=dice.choice([EndReason.OUT_OF_MEMORY, EndReason.DISK_FULL, EndReason.INTERNAL]),
            ignored_terminations=dice.randint(1, 2) if befalls() else 0,
            polls_until_terminated=dice.randint(1, 4) if befalls() else 0,
        )

    return script
