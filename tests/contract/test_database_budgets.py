"""Budgets and what leases cost, on both databases: split over months, unknown prices told apart from nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy.orm import Session

from brightrun.contract.compute import JobCompute
from brightrun.contract.states import JobStatus
from brightrun.database import attempts, budgets, jobs, spending
from brightrun.database.database import Database
from brightrun.database.tables import TrainingAttempt
from brightrun.errors import OverBudget
from brightrun.jobs.month_budget import month_budget
from brightrun.jobs.resolve_cap import resolve_cap
from brightrun.jobs.studio import Studio
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner
from tests.contract.database_rows import NOW, OWNER, add_file, add_job, job_of, lease_of
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
JANUARY = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICE = Decimal("2.40")


def add_lease(session: Session, start: datetime | None, hours: float | None, **changes: Any) -> TrainingAttempt:
    """A lease of its own job; `hours` None: it runs on."""
    owner = changes.pop("owner_id", OWNER)
    job = add_job(session, owner_id=owner)
    closed = hours is not None and start is not None
    values: dict[str, Any] = {"launched_at": start, "price_usd_per_hour": PRICE}
    if closed and hours is not None and start is not None:
        price = changes.get("price_usd_per_hour", PRICE)
        cost = None if price is None else price * Decimal(str(hours))
        values |= {"ended_at": start + hours * HOUR, "cost_usd": cost}
    return attempts.open_lease(session, lease_of(job, **values | changes))[0]


def spent(session: Session, since: datetime, until: datetime, now: datetime, owner: str = OWNER) -> spending.Spending:
    return spending.spent_between(session, owner, since=since, until=until, now=now)


def test_a_lease_over_the_turn_of_the_month_is_split_by_time(database: Database) -> None:
    with database.session() as session:
        add_lease(session, DECEMBER - HOUR, 4)
    with database.reading() as session:
        assert spent(session, NOVEMBER, DECEMBER, JANUARY) == spending.Spending(Decimal("2.4"), 0)
        assert spent(session, DECEMBER, JANUARY, JANUARY) == spending.Spending(Decimal("7.2"), 0)


def test_a_running_lease_counts_up_to_now(database: Database) -> None:
    with database.session() as session:
        add_lease(session, DECEMBER - HOUR, None)
    with database.reading() as session:
        assert spent(session, DECEMBER, JANUARY, DECEMBER + 2 * HOUR).usd == Decimal("4.8")
        assert spent(session, NOVEMBER, DECEMBER, DECEMBER + 2 * HOUR).usd == Decimal("2.4")


def test_only_what_ran_in_the_month_and_is_ones_own_is_counted(database: Database) -> None:
    with database.session() as session:
        add_lease(session, NOVEMBER - 5 * HOUR, 5)
        add_lease(session, DECEMBER, 1)
        add_lease(session, NOVEMBER + HOUR, 1, owner_id="somebody else")
        add_lease(session, None, None)
    with database.reading() as session:
        assert spent(session, NOVEMBER, DECEMBER, JANUARY) == spending.Spending(Decimal(0), 0)
        assert spent(session, NOVEMBER, DECEMBER, JANUARY, "somebody else").usd == PRICE


def test_an_unknown_price_is_told_and_not_counted_as_nothing(database: Database) -> None:
    with database.session() as session:
        add_lease(session, NOVEMBER, 1, price_usd_per_hour=None)
        add_lease(session, NOVEMBER, None, price_usd_per_hour=None)
        add_lease(session, NOVEMBER, 1)
    with database.reading() as session:
        assert spent(session, NOVEMBER, DECEMBER, DECEMBER) == spending.Spending(PRICE, 2)


def test_the_cost_of_jobs_so_far(database: Database) -> None:
    with database.session() as session:
        done = add_lease(session, NOW - 3 * HOUR, 1)
        again = lease_of(jobs.get(session, done.job_id), 2, launched_at=NOW - HOUR)  # type: ignore[arg-type]
        attempts.open_lease(session, again)
        unknown = add_lease(session, NOW - HOUR, None, price_usd_per_hour=None)
        waiting = add_job(session)
        ids = [done.job_id, unknown.job_id, waiting.id]
        found = spending.costs_so_far(session, ids, now=NOW)
    assert found == {done.job_id: PRICE + Decimal("2.39"), unknown.job_id: None, waiting.id: Decimal(0)}


def test_open_leases_are_the_launched_ones(database: Database) -> None:
    with database.session() as session:
        running = add_lease(session, NOW, None)
        add_lease(session, NOW, 1)
        add_lease(session, None, None)
        assert [lease.id for lease in spending.open_leases(session, OWNER)] == [running.id]


def test_live_jobs_are_those_that_have_not_ended(database: Database) -> None:
    with database.session() as session:
        live = add_job(session, status=JobStatus.TRAINING)
        add_job(session, status=JobStatus.FAILED)
        add_job(session, owner_id="somebody else")
        assert [job.id for job in jobs.list_live(session, owner_id=OWNER)] == [live.id]


def test_a_budget_is_kept_and_a_change_forgets_the_warnings(database: Database) -> None:
    with database.session() as session:
        assert budgets.get(session, OWNER) is None
        budgets.save(session, OWNER, monthly_budget_usd=Decimal(120), default_job_cap_usd=None, now=NOW)
        budgets.note_warning(session, OWNER, month="2026-11", percent=80)
    with database.reading() as session:
        kept = budgets.get(session, OWNER)
        assert kept is not None
        assert (kept.monthly_budget_usd, kept.default_job_cap_usd) == (Decimal(120), None)
        assert (kept.warned_month, kept.warned_percent) == ("2026-11", 80)
    with database.session() as session:
        changed = budgets.save(
            session, OWNER, monthly_budget_usd=Decimal(200), default_job_cap_usd=Decimal(9), now=NOW + HOUR
        )
        assert (changed.monthly_budget_usd, changed.default_job_cap_usd, changed.warned_percent) == (
            Decimal(200),
            Decimal(9),
            None,
        )
        assert changed.updated_at == NOW + HOUR


def test_locking_makes_the_row_and_changes_none_that_is_there(database: Database) -> None:
    with database.session() as session:
        made = budgets.lock(session, OWNER, now=NOW)
        assert (made.monthly_budget_usd, made.default_job_cap_usd) == (None, None)
    with database.session() as session:
        budgets.save(session, OWNER, monthly_budget_usd=Decimal(5), default_job_cap_usd=None, now=NOW)
        assert budgets.lock(session, OWNER, now=NOW + HOUR).monthly_budget_usd == Decimal(5)


def test_jobs_that_are_submitted_together_are_not_promised_the_same_money(database: Database, tmp_path: Path) -> None:
    """Eight at once, of which the month can bear three."""
    studio = Studio(
        database=database, storage=InMemory(LinkSigner("a secret of tests", "http://studio.test")), computes={},
        models=tmp_path, home=tmp_path, webhook_secret=SecretStr("a secret of tests"), clock=lambda: NOW,
        monthly_budget_usd=Decimal(35),
    )  # fmt: skip
    with database.session() as session:
        file = add_file(session)
    outcomes: list[Decimal | BaseException | None] = []

    def submit() -> None:
        job = job_of(
            file, estimated_cost_usd=Decimal(10), compute=JobCompute(provider="simulated", max_cost_usd=Decimal(10))
        )
        try:
            with database.session() as session:
                resolve_cap(session, studio, job)
                jobs.add(session, job)
            outcomes.append(job.job_cap_usd)
        except BaseException as error:  # noqa: BLE001 - told below
            outcomes.append(error)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome for outcome in outcomes if not isinstance(outcome, OverBudget)] == [Decimal(10)] * 3
    assert month_budget(studio, owner_id=OWNER).remaining_usd == Decimal(5)
