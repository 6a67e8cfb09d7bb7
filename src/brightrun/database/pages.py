"""Lists cut into pages, newest first: the cursor is the id of the last thing seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session

from brightrun.database.tables import ApiToken, ModelArtifact, TrainingFile, TrainingJob
from brightrun.errors import NotFound

MOST = 200
Dated = TypeVar("Dated", TrainingFile, TrainingJob, ModelArtifact, ApiToken)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list."""

    items: list[Item]
    has_more: bool


def newest_first(
    session: Session, table: type[Dated], *where: ColumnElement[bool], limit: int, after: str | None
) -> Page[Dated]:
    """Rows made before the one whose id is `after`; at most 200.

    Raises:
        NotFound: `after` is not in this list.
    """
    limit = max(1, min(limit, MOST))
    query = select(table).where(*where)
    if after is not None:
        last = session.execute(select(table.created_at, table.id).where(table.id == after, *where)).one_or_none()
        if last is None:
            raise NotFound("The list has nothing with the id given as `after`.", hint="Start again without it.")
        query = query.where(tuple_(table.created_at, table.id) < tuple_(*last))
    rows = session.scalars(query.order_by(table.created_at.desc(), table.id.desc()).limit(limit + 1)).all()
    return Page(items=list(rows[:limit]), has_more=len(rows) > limit)
