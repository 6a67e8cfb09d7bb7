"""Attempts and their leases as rows: what was meant to be launched, what runs, what is closed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from brightrun.contract.states import EndReason
from brightrun.database.inserts import add_unless_there
from brightrun.database.tables import TrainingAttempt
from brightrun.errors import NotFound

_REFRESH = {"synchronize_session": False, "populate_existing": True}


def open_lease(session: Session, attempt: TrainingAttempt) -> tuple[TrainingAttempt, bool]:
    """Write down the intent to launch; (the stored attempt, whether it is new). Repeating it changes nothing."""
    new = add_unless_there(session, attempt, ("job_id", "number"))
    stored = get(session, attempt.job_id, attempt.number)
    assert stored is not None
    return stored, new


def get(session: Session, job_id: str, number: int) -> TrainingAttempt | None:
    query = select(TrainingAttempt).where(TrainingAttempt.job_id == job_id, TrainingAttempt.number == number)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def newest(session: Session, job_id: str) -> TrainingAttempt | None:
    query = select(TrainingAttempt).where(TrainingAttempt.job_id == job_id)
    newest_first = query.order_by(TrainingAttempt.number.desc()).limit(1)
    return session.scalars(newest_first.execution_options(populate_existing=True)).first()


def list_for_job(session: Session, job_id: str) -> list[TrainingAttempt]:
    """A job's attempts, first to last."""
    query = select(TrainingAttempt).where(TrainingAttempt.job_id == job_id)
    return list(session.scalars(query.order_by(TrainingAttempt.number)))


def save(session: Session, attempt_id: str, **changes: Any) -> TrainingAttempt:
    """Change columns of an attempt; the attempt as it is then.

    Raises:
        NotFound: there is no such attempt.
    """
    statement = update(TrainingAttempt).where(TrainingAttempt.id == attempt_id).values(**changes)
    saved = session.scalars(statement.returning(TrainingAttempt), execution_options=_REFRESH).one_or_none()
    if saved is None:
        raise NotFound(f"There is no attempt {attempt_id}.")
    return saved


def heard(session: Session, job_id: str, number: int, *, at: datetime, last_sequence: int) -> None:
    """Note a sign of life. A late one takes neither the time nor the sequence back."""
    table = TrainingAttempt
    later = table.last_seen_at.is_(None) | (table.last_seen_at < at)
    further = table.last_sequence < last_sequence
    session.execute(
        update(table)
        .where(table.job_id == job_id, table.number == number, later | further)
        .values(
            last_seen_at=case((later, at), else_=table.last_seen_at),
            last_sequence=case((further, last_sequence), else_=table.last_sequence),
        ),
        execution_options={"synchronize_session": "fetch"},
    )


def close_lease(
    session: Session, attempt_id: str, *, ended_at: datetime, end_reason: EndReason | None, cost_usd: Decimal | None
) -> bool:
    """Close a lease, once: the provider shows the machine gone. False: it was closed before and stays as it was."""
    statement = (
        update(TrainingAttempt)
        .where(TrainingAttempt.id == attempt_id, TrainingAttempt.ended_at.is_(None))
        .values(ended_at=ended_at, end_reason=end_reason, cost_usd=cost_usd)
        .returning(TrainingAttempt)
    )
    return session.scalars(statement, execution_options=_REFRESH).one_or_none() is not None


def total_cost(session: Session, job_id: str) -> Decimal | None:
    """Dollars of a job's closed leases; None while no lease has a cost."""
    query = select(func.sum(TrainingAttempt.cost_usd)).where(TrainingAttempt.job_id == job_id)
    return session.scalar(query)
