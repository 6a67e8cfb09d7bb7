"""What every provider of machines can do, what is wished for and what is got. Knows no provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

_NAME = re.compile(r"train-(?P<job>[A-Za-z0-9][A-Za-z0-9_-]{0,99})-(?P<attempt>[1-9][0-9]{0,5})")


class MachineState(StrEnum):
    """What a provider says of a machine. Every word of every provider falls on one of these.

    `unknown` is a word of its own, never read as another: the provider does not answer, or says what we do not know.
    """

    STARTING = "starting"
    RUNNING = "running"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """A machine to be launched.

    Attributes:
        name: `machine_name(job_id, attempt)`: what the machine is found by again.
        gpu_type: Name in the catalogue; None for whatever the provider has.
        environment: Variables of the worker; no secret but the job's own. Never in `repr`.
        max_hours: After this the provider may end the machine by itself, where it can.
        run_folder: Folder of the run, for a provider on this machine.
    """

    name: str
    job_id: str
    attempt: int
    gpu_type: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_hours: float | None = None
    run_folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its provider shows it.

    Attributes:
        id: The provider's own name for it; a later machine of the same name has another one.
        worker_url: Address of its worker server once it has one, without a slash at its end.
        price_usd_per_hour: What it really costs; None where the provider does not say.
        started_at: Since when it is paid for, with zone.
        detail: The provider's own words.
    """

    id: str
    name: str
    state: MachineState
    worker_url: str | None = None
    price_usd_per_hour: Decimal | None = None
    started_at: datetime | None = None
    detail: str = ""


@runtime_checkable
class Compute(Protocol):
    """A provider of machines.

    Every method raises ComputeError when the provider does not answer or answers strangely. What a call did before it
    failed is unknown then; every call can be repeated, and `find` tells what came of a launch.
    """

    @property
    def name(self) -> str:
        """The provider's name in settings and tables."""

    @property
    def supports_spot(self) -> bool:
        """Whether machines can be had cheaper that may be taken away."""

    @property
    def shares_disk(self) -> bool:
        """Whether its workers see the studio's own run folders; others are sent links to their data."""

    def launch(self, request: MachineRequest) -> Machine:
        """Start a machine, or return the living one of that name: never two at a time.

        Raises:
            NoCapacity: none is free now; nothing was started.
            ComputeRefused: the provider will not start it, now or later; nothing was started.
        """

    def find(self, name: str) -> Machine | None:
        """The living machine of that name. None: the provider answered and there is none."""

    def get(self, machine_id: str) -> Machine:
        """A machine as it is now; state `gone` where it is not there any more or never was."""

    def terminate(self, machine_id: str) -> None:
        """Ask for the machine's end and return at once; one that is gone is no error. Repeat until `look` says gone."""

    def list_managed(self) -> list[Machine]:
        """Every living machine whose name `machine_name` could have made, for the reaper."""


@runtime_checkable
class Chat(Protocol):
    """A base and a tuned model that are loaded somewhere and answer, one question at a time."""

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """`{"base": [messages], "tuned": [messages], "max_tokens": n}` in, `{"base", "tuned"}` with answers out.

        Raises:
            ComputeError: it ended, or did not answer within that time; it is ended then.
        """

    def close(self) -> None:
        """End it; one that has ended is no error."""


def machine_name(job_id: str, attempt: int) -> str:
    """The one name of an attempt's machine. Raises ValueError where job and attempt could not be read back from it."""
    name = f"train-{job_id}-{attempt}"
    if parse_machine_name(name) != (job_id, attempt):
        raise ValueError(f"no machine can be named for job {job_id!a}, attempt {attempt}")
    return name


def parse_machine_name(name: str) -> tuple[str, int] | None:
    """Job and attempt of a machine of ours; None for a name of somebody else's."""
    found = _NAME.fullmatch(name)
    return (found["job"], int(found["attempt"])) if found else None


def terminated(machine_id: str, name: str, detail: str) -> Machine:
    """A machine that is not there; what it cost while it was there is not known here."""
    return Machine(id=machine_id, name=name, state=MachineState.TERMINATED, detail=detail)
