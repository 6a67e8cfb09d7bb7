"""The list of an owner's jobs: filtered, searched, in any order, cut into pages by a cursor. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Double, SQLColumnExpression, and_, case, cast, func, literal, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from brightrun.contract.states import JobStatus
from brightrun.database.pages import MOST, Page
from brightrun.database.tables import TrainingFile, TrainingJob
from brightrun.errors import NotFound

OrderBy = Literal["created", "name", "status", "dataset", "progress", "started", "duration", "cost"]


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a list is sorted by. Jobs of which that is not known come last, whichever way.

    Attributes:
        by: `status` in the order of a job's way; `progress` by the share of steps that are done; `cost` by what ended
            jobs have cost.
        now: Up to when a job that goes on has lasted, for `duration`; absent: such jobs come last.
    """

    by: OrderBy = "created"
    descending: bool = True
    now: datetime | None = None


NEWEST_FIRST = JobOrder()
_ALWAYS_KNOWN = frozenset({"created", "name", "status", "dataset"})
Key = tuple[SQLColumnExpression[Any], bool]  # what is compared, and whether the larger comes first


def list_page(
    session: Session,
    *,
    owner_id: str,
    limit: int = 20,
    after: str | None = None,
    statuses: Collection[JobStatus] | None = None,
    find: str | None = None,
    order: JobOrder = NEWEST_FIRST,
) -> Page[TrainingJob]:
    """At most 200 of an owner's jobs, those behind the job `after`, which itself need not be among the wanted.

    Raises:
        NotFound: the owner has no job `after`.
    """
    limit = max(1, min(limit, MOST))
    keys = _keys(order)
    query = select(TrainingJob.id).where(*_wanted(owner_id, statuses, find))
    if after is not None:
        query = query.where(_behind(keys, _place(session, owner_id, after, keys)))
    query = query.order_by(*(key.desc() if descending else key.asc() for key, descending in keys)).limit(limit + 1)
    # Ids first: the order is then found in an index alone, and only the page's own rows are read whole.
    ids = list(session.scalars(query))
    rows = {row.id: row for row in session.scalars(select(TrainingJob).where(TrainingJob.id.in_(ids[:limit])))}
    return Page(items=[rows[job_id] for job_id in ids[:limit]], has_more=len(ids) > limit)


def count(
    session: Session, *, owner_id: str, statuses: Collection[JobStatus] | None = None, find: str | None = None
) -> int:
    """How many jobs the whole list has."""
    query = select(func.count()).select_from(TrainingJob).where(*_wanted(owner_id, statuses, find))
    return session.scalar(query) or 0


def _wanted(owner_id: str, statuses: Collection[JobStatus] | None, find: str | None) -> list[ColumnElement[bool]]:
    where = [TrainingJob.owner_id == owner_id]
    if statuses is not None:
        where.append(TrainingJob.status.in_(list(statuses)))
    if find is not None and (words := find.strip().replace("\x00", "\ufffd")):  # a NUL, which PostgreSQL refuses
        where.append(_found(owner_id, words))
    return where


def _found(owner_id: str, words: str) -> ColumnElement[bool]:
    """The words are in the job's name or its dataset's, or its id begins with them; capitals count for nothing."""
    named = TrainingFile.file_name.icontains(words, autoescape=True)
    files = select(TrainingFile.id).where(TrainingFile.owner_id == owner_id, named)
    return or_(
        TrainingJob.name.icontains(words, autoescape=True),
        TrainingJob.id.startswith(words.lower(), autoescape=True),
        TrainingJob.training_file_id.in_(files),
    )


def _keys(order: JobOrder) -> list[Key]:
    if order.by == "created":
        return [(TrainingJob.created_at, order.descending), (TrainingJob.id, order.descending)]
    value = _value(order)
    keys: list[Key] = [(value, order.descending), (TrainingJob.created_at, True), (TrainingJob.id, True)]
    return keys if order.by in _ALWAYS_KNOWN else [(case((value.is_(None), 1), else_=0), False), *keys]


def _value(order: JobOrder) -> ColumnElement[Any]:
    if order.by == "dataset":
        file = select(func.lower(TrainingFile.file_name)).where(TrainingFile.id == TrainingJob.training_file_id)
        return file.correlate(TrainingJob).scalar_subquery()
    if order.by == "duration":
        until: SQLColumnExpression[Any] = TrainingJob.completed_at
        if order.now is not None:
            until = func.coalesce(TrainingJob.completed_at, literal(order.now, TrainingJob.created_at.type))
        return _SecondsBetween(TrainingJob.started_at, until)
    values: dict[str, ColumnElement[Any]] = {
        "name": func.lower(TrainingJob.name),
        "status": case({status: place for place, status in enumerate(JobStatus)}, value=TrainingJob.status),
        "progress": case((TrainingJob.status == JobStatus.COMPLETED, 1.0), else_=_share()),
        "started": TrainingJob.started_at.expression,
        "cost": TrainingJob.actual_cost_usd.expression,
    }
    return values[order.by]


def _share() -> ColumnElement[Any]:
    return cast(TrainingJob.current_step, Double) / cast(func.nullif(TrainingJob.total_steps, 0), Double)


def _place(session: Session, owner_id: str, job_id: str, keys: Sequence[Key]) -> Sequence[Any]:
    query = select(*(key for key, _ in keys)).where(TrainingJob.id == job_id, TrainingJob.owner_id == owner_id)
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound("The list has nothing with the id given as `after`.", hint="Start again without it.")
    return found


def _behind(keys: Sequence[Key], place: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after a place in the order of the keys."""
    cases: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for (key, descending), value in zip(keys, place, strict=True):
        if value is None:  # the key before says so already; the keys that follow tell such rows apart
            continue
        cases.append(and_(*same, key < value if descending else key > value))
        same.append(key == value)
    return or_(*cases)


class _SecondsBetween(FunctionElement[float]):
    """Seconds from one instant to another; none of SQL's own functions means this in both databases."""

    name = "seconds_between"
    type = Double()
    inherit_cache = True


@compiles(_SecondsBetween)
def _by_postgresql(element: _SecondsBetween, compiler: SQLCompiler, **how: Any) -> str:
    start, end = (compiler.process(clause, **how) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM ({end} - {start})) AS DOUBLE PRECISION)"


@compiles(_SecondsBetween, "sqlite")
def _by_sqlite(element: _SecondsBetween, compiler: SQLCompiler, **how: Any) -> str:
    start, end = (compiler.process(clause, **how) for clause in element.clauses)
    return f"((julianday({end}) - julianday({start})) * 86400.0)"
