"""What works on which operating system. Checked where a command begins, so that nobody meets a traceback half-way."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum

from brightrun.errors import PlatformUnsupported


class Ability(StrEnum):
    """What a platform may support; each is a group of commands."""

    DATASETS = "Preparing datasets"
    TRAINING = "Training"
    STUDIO = "Running a studio"


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, what works on it, and what was tried there."""

    title: str
    abilities: frozenset[Ability]
    tried: str


_EVERYTHING = frozenset(Ability)
PLATFORMS = {
    "linux": Platform("Linux", _EVERYTHING, "the whole test suite, on x86-64"),
    "darwin": Platform("macOS on Apple silicon", _EVERYTHING, "not run yet; the parts that differ are tested on Linux"),
    "win32": Platform("Windows", frozenset({Ability.DATASETS}), "not run yet; simulated on Linux"),
}
"""By the value of `sys.platform`. Any other system is let through: it is POSIX, and may well work."""


def this_platform() -> Platform:
    """The system that this process runs on."""
    return PLATFORMS.get(sys.platform) or Platform(sys.platform, _EVERYTHING, "never run")


def supports(ability: Ability) -> bool:
    return ability in this_platform().abilities


def require(ability: Ability, hint: str | None = None) -> None:
    """Raise PlatformUnsupported where this system cannot do it; `hint` replaces the usual one."""
    if not supports(ability):
        raise PlatformUnsupported(f"{ability.value} is not supported on {this_platform().title}.", hint=hint)


def usable_cores() -> int:
    """How many cores this process may use, where the system tells; else, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
