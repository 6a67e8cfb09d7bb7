"""Which share of a GPU's nominal speed to count with: the recorded one, or the nearest with a wider band."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.catalogue.gpus import Gpu
from brightrun.catalogue.models import BaseModelEntry
from brightrun.catalogue.speeds import MfuFigure, PrecisionName, load_mfu

ENGINE = "TRL 1.16"
"""What our worker trains with; a share of another engine is less near."""
SAME_BAND = 1.15
"""A run of a pair that we measured ourselves should lie within this factor. Assumed until runs are compared."""
OTHER_BAND = 1.3
BAND_PER_STEP = 0.15
_FAMILIES = {"h100": "hopper", "h200": "hopper", "b200": "blackwell", "b300": "blackwell", "a100": "ampere"}


@dataclass(frozen=True, slots=True)
class Mfu:
    """A share of nominal speed, the factor it may be off by, and how it was come by."""

    share: float
    band: float
    obtained: str


def find_mfu(entry: BaseModelEntry, gpu: Gpu, precision: PrecisionName) -> Mfu:
    """The share for that model on that GPU.

    Far is what differs: another GPU (2, of the same chip family 1), precision (1), engine (0.5), model of about the
    same size (0.5) or of another (1). Equally near ones are averaged. The band grows with the distance."""
    known = load_mfu()
    distances = [_distance(row, entry, gpu, precision) for row in known]
    nearest = min(distances)
    rows = [row for row, distance in zip(known, distances, strict=True) if distance == nearest]
    share = sum(row.share for row in rows) / len(rows)
    if nearest == 0:
        return Mfu(share, SAME_BAND, f"{rows[0].origin} on {rows[0].date}: {share:.0%} of nominal ({rows[0].source})")
    band = OTHER_BAND + BAND_PER_STEP * nearest
    like = " and ".join(f"{row.model} in {row.precision} on {row.gpu} with {row.engine}" for row in rows)
    return Mfu(
        share,
        band,
        f"nothing is recorded for {entry.name} in {precision} on {gpu.name}; taken from the nearest, {like} "
        f"({rows[0].origin}, {rows[0].date}): {share:.0%} of nominal, give or take a factor of {band:.2g}",
    )


def _distance(row: MfuFigure, entry: BaseModelEntry, gpu: Gpu, precision: PrecisionName) -> float:
    distance = 0.0
    if row.gpu != gpu.name:
        distance += 1.0 if _family(row.gpu) == _family(gpu.name) else 2.0
    distance += 0.0 if row.precision == precision else 1.0
    distance += 0.0 if row.engine.startswith(ENGINE) else 0.5
    if row.model != entry.name:
        ratio = row.parameters / entry.parameters
        distance += 0.5 if 0.5 < ratio < 2 else 1.0
    return distance


def _family(gpu: str) -> str:
    return _FAMILIES.get(gpu.partition("-")[0], gpu if gpu.startswith("b") else "ada")
