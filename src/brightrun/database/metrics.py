"""A job's curves as rows, and thinned to what a chart can show without losing a spike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, literal, select
from sqlalchemy.orm import Session

from brightrun.contract.step_metrics import SHOWN, STEP_METRICS, StepMetrics
from brightrun.database.inserts import insert_into
from brightrun.database.tables import TrainingMetric
from brightrun.errors import InputError

Kind = Literal["train", "validation"]
KINDS: tuple[Kind, ...] = ("train", "validation")
if TYPE_CHECKING:
    Measure = str
else:
    Measure = Literal[tuple(SHOWN)]
STEPS_IN_BLOCK = 256
MIN_POINTS = 4
_READ_WHOLE = 40_000  # steps; so many rows are quicker to read than to search
_STEP = TrainingMetric.step
_TABLE = TrainingMetric.__table__.c


class MetricPoint(StepMetrics):
    """One step of a curve."""

    kind: Kind
    step: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class _Spot:
    step: int
    value: float


def record(session: Session, job_id: str, *, attempt: int, points: Iterable[MetricPoint]) -> None:
    """Store points; of a step that several attempts tell of, the newest attempt's stays, in any order."""
    newest = {(point.kind, point.step): point for point in points}
    if not newest:
        return
    statement = insert_into(session, TrainingMetric)
    replaced = ("attempt", *STEP_METRICS, "recorded_at")
    statement = statement.on_conflict_do_update(
        index_elements=["training_job_id", "kind", "step"],
        set_={name: statement.excluded[name] for name in replaced},
        where=statement.excluded["attempt"] > TrainingMetric.attempt,
    )
    session.execute(statement, [_row(job_id, attempt, newest[key]) for key in sorted(newest)])


def series(session: Session, job_id: str, kind: Kind, points: int = 500, *, by: Measure = "loss") -> list[MetricPoint]:
    """A curve in order of steps, at most `points` long: of each stretch its lowest and its highest value.

    Args:
        by: The measure whose spikes stay; steps at which it is not known are left out. Of runs of more than 40,000
            steps it is always the loss.

    Raises:
        InputError: fewer than four points are asked for.
    """
    if points < MIN_POINTS:
        raise InputError(f"A curve needs at least {MIN_POINTS} points.", hint="Ask for more points.")
    curve = _curve(job_id, kind)
    ends = _ends(session, curve)
    if not ends:
        return []
    is_long = ends[-1].step - ends[0].step >= _READ_WHOLE
    spots = _read_blocks(session, curve, ends) if is_long else _read(session, curve, by)
    chosen = [spot.step for spot in thin(spots, points)]
    rows = session.scalars(select(TrainingMetric).where(_all(job_id, kind), _STEP.in_(chosen)))
    return sorted((_point(row) for row in rows), key=lambda point: point.step)


def every(session: Session, job_id: str, *, at_once: int = 2000) -> Iterator[MetricPoint]:
    """All points of a job, the training's first, each curve in order of steps; read a few at a time."""
    columns = [_STEP, TrainingMetric.recorded_at, *(_TABLE[name] for name in STEP_METRICS)]
    for kind in KINDS:
        after, full = -1, True
        while full:
            query = select(*columns).where(_all(job_id, kind), after < _STEP).order_by(_STEP).limit(at_once)
            rows = session.execute(query).all()
            yield from (MetricPoint.model_construct(kind=kind, **row._mapping) for row in rows)
            full = len(rows) == at_once
            after = rows[-1].step if rows else after


def latest(session: Session, job_id: str, kind: Kind) -> MetricPoint | None:
    """The point of the highest step."""
    return _first(session, select(TrainingMetric).where(_all(job_id, kind)).order_by(TrainingMetric.step.desc()))


def lowest(session: Session, job_id: str, kind: Kind) -> MetricPoint | None:
    """The point of the lowest loss, the earliest of equals."""
    curve = select(TrainingMetric).where(_curve(job_id, kind))
    return _first(session, curve.order_by(_TABLE.loss, TrainingMetric.step))


def thin(spots: Sequence[_Spot], points: int) -> Sequence[_Spot]:
    """At most `points` of the spots, which are in order: first, last, and every stretch's lowest and highest."""
    if len(spots) <= points:
        return spots
    first, last = spots[0], spots[-1]
    stretches = (points - 2) // 2
    width = (last.step - first.step + 1) / stretches
    low: dict[int, _Spot] = {}
    high: dict[int, _Spot] = {}
    for spot in spots:
        stretch = int((spot.step - first.step) / width)
        if stretch not in low or spot.value < low[stretch].value:
            low[stretch] = spot
        if stretch not in high or spot.value > high[stretch].value:
            high[stretch] = spot
    kept = {spot.step: spot for spot in (first, last, *low.values(), *high.values())}
    return [kept[step] for step in sorted(kept)]


def _ends(session: Session, curve: ColumnElement[bool]) -> list[_Spot]:
    """The points of the lowest and the highest step; none of an empty curve."""
    query = select(TrainingMetric.step, _TABLE.loss).where(curve).limit(1)
    found = [session.execute(query.order_by(order)).first() for order in (_STEP.asc(), _STEP.desc())]
    return [_Spot(row.step, row.loss) for row in found if row is not None]


def _read(session: Session, curve: ColumnElement[bool], by: Measure) -> list[_Spot]:
    query = select(TrainingMetric.step, _TABLE[by]).where(curve).order_by(TrainingMetric.step)
    return [_Spot(step, value) for step, value in session.execute(query) if value is not None]


def _read_blocks(session: Session, curve: ColumnElement[bool], ends: Sequence[_Spot]) -> list[_Spot]:
    """Lowest and highest of every 256 steps, and the ends, each found by the index: no row between is read."""
    first, last = (end.step // STEPS_IN_BLOCK for end in ends)
    numbers = select(literal(first).label("block")).cte("blocks", recursive=True)
    numbers = numbers.union_all(select(numbers.c.block + 1).where(numbers.c.block < last))
    in_block = and_(curve, TrainingMetric.block == numbers.c.block)
    columns = [_extreme(in_block, column, end) for end in ("low", "high") for column in (_STEP, _TABLE.loss)]
    found = {end.step: end.value for end in ends}
    for low_step, low_loss, high_step, high_loss in session.execute(select(*columns).select_from(numbers)):
        if low_step is not None:
            found[low_step] = low_loss
            found[high_step] = high_loss
    return [_Spot(step, found[step]) for step in sorted(found)]


def _extreme(where: ColumnElement[bool], column: Any, end: str) -> ScalarSelect[Any]:
    order = (_TABLE.loss, _STEP) if end == "low" else (_TABLE.loss.desc(), _STEP.desc())
    return select(column).where(where).order_by(*order).limit(1).scalar_subquery()


def _all(job_id: str, kind: Kind) -> ColumnElement[bool]:
    return and_(TrainingMetric.job_id == job_id, TrainingMetric.kind == kind)


def _curve(job_id: str, kind: Kind) -> ColumnElement[bool]:
    return and_(_all(job_id, kind), _TABLE.loss.is_not(None))


def _first(session: Session, query: Select[TrainingMetric]) -> MetricPoint | None:
    row = session.scalars(query.limit(1)).first()
    return None if row is None else _point(row)


def _point(row: TrainingMetric) -> MetricPoint:
    kind: Kind = "validation" if row.kind == "validation" else "train"
    return MetricPoint(
        kind=kind, step=row.step, recorded_at=row.recorded_at, **{name: getattr(row, name) for name in STEP_METRICS}
    )


def _row(job_id: str, attempt: int, point: MetricPoint) -> dict[str, Any]:
    row = point.model_dump()
    return row | {"training_job_id": job_id, "attempt": attempt, "block": point.step // STEPS_IN_BLOCK}
