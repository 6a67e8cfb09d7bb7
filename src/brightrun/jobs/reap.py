"""Ends machines of ours that no live attempt owns; what this studio knows nothing of is only told."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.compute.base import Machine, parse_machine_name
from brightrun.database import attempts, jobs
from brightrun.jobs.studio import Studio


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a round of the reaper did: machines it ended, and machines whose job is in no table of this studio."""

    ended: tuple[str, ...]
    unknown: tuple[str, ...]


def reap(studio: Studio) -> Reaped:
    """Ask every provider for machines with a name of ours.

    A machine is ended where its lease is closed. One without a row here may belong to another studio on the same
    account, so it is never ended, only named. Safe to repeat.

    Raises:
        ComputeError: a provider did not answer.
    """
    ended, unknown = [], []
    for compute in studio.computes.values():
        for machine in compute.list_managed():
            verdict = _is_forgotten(studio, machine)
            if verdict is None:
                unknown.append(machine.name)
            elif verdict:
                compute.terminate(machine.id)
                ended.append(machine.name)
    return Reaped(tuple(ended), tuple(unknown))


def _is_forgotten(studio: Studio, machine: Machine) -> bool | None:
    """True: its lease is closed. False: its lease is open. None: no attempt of this name is known here."""
    named = parse_machine_name(machine.name)
    if named is None:
        return None
    with studio.database.reading() as session:
        job = jobs.get(session, named[0])
        attempt = None if job is None else attempts.get(session, *named)
    return None if attempt is None else attempt.ended_at is not None
