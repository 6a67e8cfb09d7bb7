"""INSERT … ON CONFLICT, which both databases know and SQLAlchemy spells once for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

Insert = postgresql.Insert | sqlite.Insert


def insert_into(session: Session, table: type[DeclarativeBase]) -> Insert:
    """An INSERT into the table that understands conflicts, for the session's database."""
    target: FromClause = table.__table__
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(target)  # type: ignore[arg-type]
    return postgresql.insert(target)  # type: ignore[arg-type]


def add_unless_there(session: Session, row: DeclarativeBase, key: Sequence[str]) -> bool:
    """Insert the row unless one with the same key columns exists; whether it was inserted."""
    statement = insert_into(session, type(row)).values(values_of(row)).on_conflict_do_nothing(index_elements=list(key))
    first = inspect(type(row)).primary_key[0]
    return session.execute(statement.returning(first)).first() is not None


def add_or_replace(session: Session, row: DeclarativeBase, key: Sequence[str], *, keep: Sequence[str] = ()) -> None:
    """Insert the row, or write its values over those of the row with the same key columns, but for `keep`."""
    values = values_of(row)
    statement = insert_into(session, type(row)).values(values)
    fixed = {*key, *keep, *(column.name for column in inspect(type(row)).primary_key)}
    new: Mapping[str, ColumnElement[Any]] = {n: statement.excluded[n] for n in values if n not in fixed}
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new))


def values_of(row: DeclarativeBase) -> dict[str, Any]:
    """The values that were set on a row that is in no session yet, by column name."""
    mapper = inspect(type(row))
    names = {key: column.name for key, column in mapper.columns.items()}
    return {name: row.__dict__[key] for key, name in names.items() if key in row.__dict__}
