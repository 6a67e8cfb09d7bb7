"""Owners' budgets as rows, and which warnings of the month were given. What was spent is counted elsewhere."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from brightrun.database.inserts import add_or_replace, add_unless_there
from brightrun.database.tables import Budget


def get(session: Session, owner_id: str) -> Budget | None:
    """The owner's budget; None: nothing was ever set."""
    query = select(Budget).where(Budget.owner_id == owner_id)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def save(
    session: Session,
    owner_id: str,
    *,
    monthly_budget_usd: Decimal | None,
    default_job_cap_usd: Decimal | None,
    now: datetime,
) -> Budget:
    """Set both amounts. Warnings that were given for other amounts are forgotten."""
    row = Budget(
        owner_id=owner_id, monthly_budget_usd=monthly_budget_usd, default_job_cap_usd=default_job_cap_usd,
        warned_month=None, warned_percent=None,
        updated_at=now,
    )  # fmt: skip
    add_or_replace(session, row, ("owner_id",))
    saved = get(session, owner_id)
    assert saved is not None
    return saved


def lock(session: Session, owner_id: str, *, now: datetime) -> Budget:
    """The owner's row, made where there is none; nobody else promises the owner's money until the session ends."""
    add_unless_there(session, Budget(owner_id=owner_id, updated_at=now), ("owner_id",))
    query = select(Budget).where(Budget.owner_id == owner_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def note_warning(session: Session, owner_id: str, *, month: str, percent: int) -> None:
    """Remember the highest warning that was given in a month."""
    session.execute(
        update(Budget).where(Budget.owner_id == owner_id).values(warned_month=month, warned_percent=percent),
        execution_options={"synchronize_session": False},
    )
