"""Which conversations train and which are kept for validation: by conversation, stratified, stable."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.job_spec import canonical_sha256
from brightrun.errors import DatasetError

Stratum = tuple[str | None, str | None]
KEPT_AT_LEAST = 8
"""Conversations kept for validation where the file has `WHERE_THERE_ARE` or more, whatever the fraction says."""
WHERE_THERE_ARE = 24


class SplitCandidate(NamedTuple):
    """What the split needs to know of a conversation."""

    id: str
    persona: str | None
    arc: str | None


class SplitStratum(BaseModel):
    """One row of the strata table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str | None
    arc: str | None
    conversations: int = Field(ge=0)
    validation: int = Field(ge=0)


class Split(BaseModel):
    """Both sides, ids in order. Adding conversations leaves the old where they are, save for corrections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    validation_fraction: float = Field(gt=0.0, le=0.5)
    train: list[str]
    validation: list[str]
    left_out: list[str] = Field(
        default_factory=list, description="Conversations with no trained answer: on neither side."
    )
    strata: list[SplitStratum]

    def sha256(self) -> str:
        """Hash of the split's canonical JSON."""
        return canonical_sha256(self.model_dump(mode="json"))


def score(seed: int, conversation_id: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the id."""
    digest = hashlib.sha256(f"{seed}:{conversation_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_conversations(
    candidates: Iterable[SplitCandidate],
    *,
    validation_fraction: float,
    seed: int,
    groups: Sequence[Sequence[str]] = (),
    previous: Split | None = None,
    left_out: Sequence[str] = (),
) -> Split:
    """Divide conversations into training and validation.

    A conversation is for validation if its score is below the fraction. A stratum of persona × arc, a persona or an
    arc that should have at least one there (n·f ≥ 1) and has none promotes its lowest score; then the total is
    brought into the bounds of `bounds`. No stratum is kept for validation as a whole, save where there is no other way
    to have enough: what nobody learns cannot be expected.

    Args:
        candidates: Conversations with something to learn, in any order.
        groups: Ids of near-duplicates; each group stays on the side of its lowest draw.
        previous: An older split; its conversations stay on their sides and the rules apply to newcomers only.
        left_out: Ids to list as being on neither side.

    Raises:
        DatasetError: fewer than two conversations, or all of them near-duplicates of one another.
    """
    known = list(candidates)
    if (refused := why_undividable(len(known), count_units(len(known), _among(known, groups)))) is not None:
        raise refused
    division = _Division(_units(known, groups, seed, previous), validation_fraction)
    division.promote_bare_groups()
    division.correct_total()
    held = {member.id for unit in division.units if unit.held for member in unit.members}
    assert 0 < len(held) < len(known) or previous is not None
    if not held or len(held) == len(known):
        raise DatasetError("The earlier split leaves nothing on one side.", hint="Split anew, without the earlier one.")
    return split_as_given(known, held, validation_fraction=validation_fraction, seed=seed, left_out=left_out)


def why_undividable(conversations: int, units: int) -> DatasetError | None:
    """Why so many conversations cannot be divided into training and validation; None where they can.

    Args:
        units: How many of them stand on their own: near-duplicates of one another count as one.
    """
    if conversations < 2:
        return DatasetError(
            f"Validation needs at least 2 conversations, one of them kept aside; there {_are(conversations)} to train "
            "on.",
            hint="Add conversations to the file: it needs at least 2 conversations to prove anything.",
        )
    if units < 2:
        return DatasetError(
            "The conversations cannot be divided: all of them are near-duplicates of one another.",
            hint="Add conversations that differ, so that a validation one is not a copy of a trained one.",
        )
    return None


def count_units(conversations: int, groups: Iterable[Collection[str]]) -> int:
    """How many of the conversations stand on their own; `groups` are near-duplicates, each id in one group at most."""
    return conversations - sum(len(group) - 1 for group in groups if group)


def why_one_sided(*, trained: int, kept_aside: int) -> DatasetError | None:
    """Why a training file and a validation file cannot be used together; None where both have something."""
    if trained and kept_aside:
        return None
    which = "training" if kept_aside else "validation"
    return DatasetError(
        f"The {which} file has no conversation that can be used.", hint="The findings say what is wrong with each."
    )


def split_as_given(
    candidates: Iterable[SplitCandidate],
    validation: Collection[str],
    *,
    validation_fraction: float,
    seed: int,
    left_out: Sequence[str] = (),
) -> Split:
    """The division that keeps these conversations aside, and no others: as drawn, or a validation file of one's own."""
    known = list(candidates)
    held = {item.id for item in known if item.id in validation}
    return Split(
        seed=seed,
        validation_fraction=validation_fraction,
        train=sorted(item.id for item in known if item.id not in held),
        validation=sorted(held),
        left_out=sorted(left_out),
        strata=_strata_table(known, held),
    )


def bounds(conversations: int, fraction: float, units: int | None = None) -> tuple[int, int]:
    """The least and the most conversations that are kept for validation.

    [max(1, ⌊0.75·N·f⌋), max(2, ⌈1.25·N·f⌉)], at least 8 where 24 or more stand on their own, and never all.

    Args:
        units: How many stand on their own; as many as there are where absent.
    """
    expected = conversations * fraction
    least = KEPT_AT_LEAST if (conversations if units is None else units) >= WHERE_THERE_ARE else 1
    high = min(max(2, least, math.ceil(1.25 * expected)), conversations - 1)
    return min(max(least, math.floor(0.75 * expected)), high), high


@dataclass(slots=True)
class _Unit:
    """Conversations that must stay on one side; usually one."""

    members: list[SplitCandidate]
    score: float
    stratum: Stratum
    held: bool = False
    fixed: bool = False


_GROUPINGS: tuple[Callable[[_Unit], Hashable], ...] = (
    lambda unit: unit.stratum,
    lambda unit: unit.stratum[0],
    lambda unit: unit.stratum[1],
)


class _Division:
    def __init__(self, units: list[_Unit], fraction: float) -> None:
        self.units = sorted(units, key=lambda unit: (unit.score, unit.members[0].id))
        self.size = sum(len(unit.members) for unit in units)
        self.fraction = fraction
        self.held = sum(len(unit.members) for unit in units if unit.held)
        self.strata: dict[Stratum, list[_Unit]] = {}
        for unit in self.units:
            self.strata.setdefault(unit.stratum, []).append(unit)
            if not unit.fixed and unit.score < fraction:
                self._move(unit, held=True)
        for together in self.strata.values():
            free = [unit for unit in together if not unit.fixed]
            if free and all(unit.held for unit in together):
                self._move(free[-1], held=False)

    def promote_bare_groups(self) -> None:
        """First the cells of persona × arc, then whole personas, then whole arcs."""
        for grouping in _GROUPINGS:
            groups: dict[Hashable, list[_Unit]] = {}
            for unit in self.units:
                groups.setdefault(grouping(unit), []).append(unit)
            for units in groups.values():
                self._promote_if_bare(units)

    def _promote_if_bare(self, units: list[_Unit]) -> None:
        """The lowest draw, of an arc that nobody stands for yet where there is a choice."""
        if _count(units) * self.fraction < 1 or any(unit.held for unit in units):
            return
        shown = {unit.stratum[1] for unit in self.units if unit.held}
        may = [unit for unit in units if self._may_validate(unit)]
        free = [unit for unit in may if self._leaves_another(unit)] or may
        candidate = min(free, key=lambda unit: (unit.stratum[1] in shown, unit.score), default=None)
        if candidate is not None and self._leaves_another(candidate):
            self._move(candidate, held=True)

    def correct_total(self) -> None:
        """Promote or demote one unit at a time until the total is within bounds, as far as units allow."""
        low, high = bounds(self.size, self.fraction, len(self.units))
        while self.held > high and (unit := self._to_demote(low)) is not None:
            self._move(unit, held=False)
        while self.held < low and (unit := self._to_promote(high)) is not None:
            self._move(unit, held=True)

    def _to_demote(self, low: int) -> _Unit | None:
        """The highest draw, of a cell, a persona and an arc that keep another one where possible."""
        movable = [unit for unit in self.units if unit.held and not unit.fixed and self.held - len(unit.members) >= low]
        movable = movable or [unit for unit in self.units if unit.held and not unit.fixed]
        if not movable or self.held == len(movable[-1].members):
            return None
        return max(movable, key=lambda unit: (self._keeps_another(unit), unit.score))

    def _keeps_another(self, unit: _Unit) -> int:
        """Of how many of its groups (cell, persona, arc) another unit is kept for validation."""
        others = [other for other in self.units if other.held and other is not unit]
        return sum(any(grouping(other) == grouping(unit) for other in others) for grouping in _GROUPINGS)

    def _to_promote(self, high: int) -> _Unit | None:
        """The lowest draw of the stratum with the smallest validation share; units below the bound first."""
        free = [unit for unit in self.units if self._may_validate(unit)]
        fitting = [unit for unit in free if self.held + len(unit.members) <= high] or free
        fair = [unit for unit in fitting if self._leaves_another(unit)] or fitting
        return min(fair, key=lambda unit: (self._share(unit.stratum), unit.score), default=None)

    def _leaves_another(self, unit: _Unit) -> bool:
        """Whether its stratum still has something to train on once it is kept for validation."""
        return any(not other.held for other in self.strata[unit.stratum] if other is not unit)

    def _may_validate(self, unit: _Unit) -> bool:
        return not unit.held and not unit.fixed and self.held + len(unit.members) < self.size

    def _move(self, unit: _Unit, *, held: bool) -> None:
        unit.held = held
        self.held += len(unit.members) if held else -len(unit.members)

    def _share(self, stratum: Stratum) -> float:
        units = self.strata[stratum]
        return _count([unit for unit in units if unit.held]) / _count(units)


def _units(
    known: list[SplitCandidate], groups: Sequence[Sequence[str]], seed: int, previous: Split | None
) -> list[_Unit]:
    group_of = {member: index for index, group in enumerate(groups) for member in group}
    members: dict[int | str, list[SplitCandidate]] = {}
    for item in known:
        members.setdefault(group_of.get(item.id, item.id), []).append(item)
    partitions = (
        {} if previous is None else {**dict.fromkeys(previous.train, False), **dict.fromkeys(previous.validation, True)}
    )
    units = []
    for together in members.values():
        units += _fixed_and_free(together, partitions, seed)
    return units


def _fixed_and_free(together: list[SplitCandidate], partitions: dict[str, bool], seed: int) -> list[_Unit]:
    """One unit; where an older split placed members, one fixed unit per side, newcomers following the old."""
    placed = {
        partition: [item for item in together if partitions.get(item.id) is partition] for partition in (False, True)
    }
    newcomers = [item for item in together if item.id not in partitions]
    follow = next((partition for partition in (False, True) if placed[partition]), None)
    if follow is None:
        return [_unit(newcomers, seed)]
    placed[follow] += newcomers
    return [_unit(items, seed, held=partition, fixed=True) for partition, items in placed.items() if items]


def _unit(members: list[SplitCandidate], seed: int, *, held: bool = False, fixed: bool = False) -> _Unit:
    ordered = sorted(members, key=lambda item: (score(seed, item.id), item.id))
    first = ordered[0]
    return _Unit(ordered, score(seed, first.id), (first.persona, first.arc), held=held, fixed=fixed)


def _among(known: Sequence[SplitCandidate], groups: Sequence[Sequence[str]]) -> list[list[str]]:
    names = {item.id for item in known}
    return [[name for name in group if name in names] for group in groups]


def _count(units: Iterable[_Unit]) -> int:
    return sum(len(unit.members) for unit in units)


def _strata_table(known: list[SplitCandidate], held: set[str]) -> list[SplitStratum]:
    everyone = Counter((item.persona, item.arc) for item in known)
    validation = Counter((item.persona, item.arc) for item in known if item.id in held)
    rows = sorted(everyone.items(), key=lambda row: (row[0][0] or "", row[0][1] or ""))
    return [
        SplitStratum(persona=stratum[0], arc=stratum[1], conversations=count, validation=validation[stratum])
        for stratum, count in rows
    ]


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"
