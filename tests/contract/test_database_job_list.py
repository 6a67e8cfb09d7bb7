"""The list of jobs on both databases: any order, any filter, every job once however it is cut into pages."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import get_args

import pytest

from brightrun.contract.states import JobStatus
from brightrun.database import files, jobs
from brightrun.database.database import Database
from brightrun.database.job_list import JobOrder, OrderBy
from brightrun.database.tables import TrainingJob
from brightrun.errors import NotFound
from tests.contract.database_rows import NOW, OWNER, add_file, add_job
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)

HOUR = timedelta(hours=1)
AT = NOW + 10 * HOUR


def some_jobs(database: Database) -> dict[str, str]:
    """Ids by a letter. What the letters stand for is in the order that the tests expect of each column."""
    with database.session() as session:
        early, late = add_file(session, file_name="alpha.json"), add_file(session, file_name="Beta 100%_x.json")
        made = {
            "a": add_job(session, late, name="Warm tone", created_at=NOW),
            "b": add_job(
                session, early, name="cold", status=JobStatus.TRAINING, created_at=NOW + HOUR, current_step=30,
                started_at=NOW + 2 * HOUR, total_steps=100,
            ),
            "c": add_job(
                session, late, name="Bitter", status=JobStatus.COMPLETED, created_at=NOW + 2 * HOUR, current_step=7,
                started_at=NOW + 3 * HOUR, completed_at=NOW + 4 * HOUR, actual_cost_usd=Decimal("9.50"), total_steps=8,
            ),
            "d": add_job(
                session, early, name="all", status=JobStatus.FAILED, created_at=NOW + 3 * HOUR, current_step=5,
                started_at=NOW + HOUR, completed_at=NOW + 6 * HOUR, actual_cost_usd=Decimal("10.25"), total_steps=100,
            ),
        }  # fmt: skip
        add_job(
            session,
            add_file(session, owner_id="someone else", file_name="alpha.json"),
            name="cold",
            owner_id="someone else",
        )
        return {job.id: letter for letter, job in made.items()}


@pytest.mark.parametrize(
    ("by", "rising", "falling"),
    [
        ("created", "abcd", "dcba"),
        ("name", "dcba", "abcd"),
        ("status", "abcd", "dcba"),
        ("dataset", "dbca", "cadb"),
        ("progress", "dbca", "cbda"),
        ("started", "dbca", "cbda"),
        ("duration", "cdba", "bdca"),
        ("cost", "cdba", "dcba"),
    ],
)
def test_jobs_in_any_order_page_by_page(database: Database, by: OrderBy, rising: str, falling: str) -> None:
    letters = some_jobs(database)
    with database.reading() as session:
        for descending, expected in ((False, rising), (True, falling)):
            order = JobOrder(by, descending, AT)
            whole = jobs.list_page(session, owner_id=OWNER, order=order)
            assert "".join(letters[job.id] for job in whole.items) == expected, (by, descending)
            assert not whole.has_more
            seen, after = "", None
            for _ in letters:
                page = jobs.list_page(session, owner_id=OWNER, order=order, limit=1, after=after)
                seen, after = seen + letters[page.items[0].id], page.items[0].id
            assert (seen, page.has_more) == (expected, False)


def test_every_column_has_an_order_that_was_tried() -> None:
    assert set(get_args(OrderBy)) == {
        "created", "name", "status", "dataset", "progress", "started", "duration", "cost",
    }  # fmt: skip


def test_jobs_that_are_alike_are_each_seen_once(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        made = {add_job(session, file, actual_cost_usd=None if n % 3 else Decimal(1)).id for n in range(11)}
    with database.reading() as session:
        for descending in (True, False):
            seen: list[TrainingJob] = []
            more, after = True, None
            while more:
                page = jobs.list_page(session, owner_id=OWNER, limit=2, after=after, order=JobOrder("cost", descending))
                seen, more, after = seen + page.items, page.has_more, page.items[-1].id
            assert len(seen) == len(made)
            assert {job.id for job in seen} == made
            assert [job.actual_cost_usd is None for job in seen] == [False] * 4 + [True] * 7


@pytest.mark.parametrize(
    ("find", "found"),
    [
        ("WARM", "a"),
        ("  tone ", "a"),
        ("l", "bd"),
        ("ALPHA", "bd"),
        ("100%_x", "ac"),
        ("0%x", ""),
        ("_", "ac"),
        ("", "abcd"),
        ("   ", "abcd"),
        ("nothing has this", ""),
        ("a\x00l", ""),
    ],
)
def test_jobs_are_found_by_name_and_dataset_as_they_are_written(database: Database, find: str, found: str) -> None:
    letters = some_jobs(database)
    with database.reading() as session:
        page = jobs.list_page(session, owner_id=OWNER, find=find)
        assert "".join(sorted(letters[job.id] for job in page.items)) == found
        assert jobs.count(session, owner_id=OWNER, find=find) == len(found)


def test_a_job_is_found_by_how_its_id_begins(database: Database) -> None:
    letters = some_jobs(database)
    wanted = next(job_id for job_id, letter in letters.items() if letter == "c")
    with database.reading() as session:
        for find in (wanted, wanted[:13].upper()):
            assert [job.id for job in jobs.list_page(session, owner_id=OWNER, find=find).items] == [wanted]
        assert jobs.list_page(session, owner_id=OWNER, find=wanted[1:14]).items == []


def test_a_filter_is_kept_on_every_page_and_its_cursor_may_have_left_it(database: Database) -> None:
    letters = some_jobs(database)
    failed = next(job_id for job_id, letter in letters.items() if letter == "d")
    with database.reading() as session:
        page = jobs.list_page(
            session, owner_id=OWNER, statuses=[JobStatus.QUEUED, JobStatus.COMPLETED], after=failed, limit=1
        )
        assert [letters[job.id] for job in page.items] == ["c"]
        assert page.has_more
        assert jobs.count(session, owner_id=OWNER, statuses=[JobStatus.QUEUED, JobStatus.COMPLETED], find="warm") == 1
        foreign = jobs.list_page(session, owner_id="someone else").items[0]
        with pytest.raises(NotFound):
            jobs.list_page(session, owner_id=OWNER, after=foreign.id, order=JobOrder("cost"))


def test_what_ended_last_and_what_was_tried_again(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        first, second, third = (
            add_job(session, file, status=JobStatus.FAILED, status_changed_at=NOW + hours * HOUR) for hours in (1, 3, 2)
        )
        add_job(session, file, status=JobStatus.FAILED, status_changed_at=AT, owner_id="someone else")
        add_job(session, file, retry_of=first.id, created_at=AT)
        add_job(session, file, retry_of=third.id, created_at=AT, owner_id="someone else")
        newest = jobs.newest_in_status(session, JobStatus.FAILED, owner_id=OWNER, limit=2)
        assert [job.id for job in newest] == [second.id, third.id]
        late = jobs.newest_in_status(session, JobStatus.FAILED, owner_id=OWNER, limit=9, since=NOW + 3 * HOUR)
        assert [job.id for job in late] == [second.id]
        asked = [first.id, second.id, third.id]
        assert jobs.retried(session, asked, owner_id=OWNER, since=NOW) == {first.id}
        assert jobs.retried(session, asked, owner_id=OWNER, since=AT + HOUR) == set()
        stuck = jobs.in_status_since(session, JobStatus.FAILED, before=AT + HOUR, owner_id="someone else")
        assert len(stuck) == 1
        assert files.names(session, [file.id, "none"]) == {file.id: "conversations.json"}
