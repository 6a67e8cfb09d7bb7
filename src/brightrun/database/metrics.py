"""A job's curves as rows, and thinned to what a chart can show without losing a spike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, ScalarSelect, and_, literal, select, union_all
from sqlalchemy.orm import Session

from brightrun.charts.curves import Point, thin
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
    chosen = [step for step, _ in _thinned(session, job_id, kind, points, by).points]
    rows = session.scalars(select(TrainingMetric).where(_all(job_id, kind), _STEP.in_(chosen)).order_by(_STEP))
    return [_point(row) for row in rows]


def curve(session: Session, job_id: str, kind: Kind, points: int = 500, *, by: Measure = "loss") -> list[Point]:
    """The steps of `series` with the one measure that is drawn, and nothing read twice for it; None is a gap.

    Raises:
        InputError: fewer than four points are asked for.
    """
    found = _thinned(session, job_id, kind, points, by)
    if found.measure == by:
        return found.points
    query = select(_STEP, _TABLE[by]).where(_all(job_id, kind))
    rows = session.execute(query.where(_STEP.in_([step for step, _ in found.points])).order_by(_STEP))
    return [(step, value) for step, value in rows]


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


@dataclass(frozen=True, slots=True)
class _Thinned:
    """The points that stay, and the measure that chose them."""

    points: list[Point]
    measure: Measure


def _thinned(session: Session, job_id: str, kind: Kind, points: int, by: Measure) -> _Thinned:
    if points < MIN_POINTS:
        raise InputError(f"A curve needs at least {MIN_POINTS} points.", hint="Ask for more points.")
    measured = and_(_all(job_id, kind), _TABLE.loss.is_not(None))
    ends = _ends(session, measured)
    if not ends:
        return _Thinned([], by)
    if ends[-1][0] - ends[0][0] >= _READ_WHOLE:
        return _Thinned(thin(_read_blocks(session, measured, ends), points), "loss")
    return _Thinned(thin(_read(session, measured, by), points), by)


def _ends(session: Session, measured: ColumnElement[bool]) -> list[tuple[int, float]]:
    """Step and loss of the lowest and the highest step; none of an empty curve."""
    query = select(_STEP, _TABLE.loss).where(measured).limit(1)
    ends = [query.order_by(order).subquery() for order in (_STEP.asc(), _STEP.desc())]
    found = session.execute(union_all(*(select(end) for end in ends)))
    return sorted((step, loss) for step, loss in found)


def _read(session: Session, measured: ColumnElement[bool], by: Measure) -> list[Point]:
    query = select(_STEP, _TABLE[by]).where(measured).order_by(_STEP)
    return [(step, value) for step, value in session.execute(query) if value is not None]


def _read_blocks(session: Session, measured: ColumnElement[bool], ends: Sequence[tuple[int, float]]) -> list[Point]:
    """Lowest and highest of every 256 steps, and the ends, each found by the index: no row between is read."""
    first, last = (step // STEPS_IN_BLOCK for step, _ in ends)
    numbers = select(literal(first).label("block")).cte("blocks", recursive=True)
    numbers = numbers.union_all(select(numbers.c.block + 1).where(numbers.c.block < last))
    in_block = and_(measured, TrainingMetric.block == numbers.c.block)
    columns = [_extreme(in_block, column, end) for end in ("low", "high") for column in (_STEP, _TABLE.loss)]
    found = dict(ends)
    for low_step, low_loss, high_step, high_loss in session.execute(select(*columns).select_from(numbers)):
        if low_step is not None:
            found[low_step] = low_loss
            found[high_step] = high_loss
    return [(step, found[step]) for step in sorted(found)]


def _extreme(where: ColumnElement[bool], column: Any, end: str) -> ScalarSelect[Any]:
    order = (_TABLE.loss, _STEP) if end == "low" else (_TABLE.loss.desc(), _STEP.desc())
    return select(column).where(where).order_by(*order).limit(1).scalar_subquery()


def _all(job_id: str, kind: Kind) -> ColumnElement[bool]:
    return and_(TrainingMetric.job_id == job_id, TrainingMetric.kind == kind)


def _point(row: TrainingMetric) -> MetricPoint:
    kind: Kind = "validation" if row.kind == "validation" else "train"
    return MetricPoint(
        kind=kind, step=row.step, recorded_at=row.recorded_at, **{name: getattr(row, name) for name in STEP_METRICS}
    )


def _row(job_id: str, attempt: int, point: MetricPoint) -> dict[str, Any]:
    row = point.model_dump()
    return row | {"training_job_id": job_id, "attempt": attempt, "block": point.step // STEPS_IN_BLOCK}
