"""A job has one owner at a time, whoever asks and from wherever."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest

from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.database.database import Database
from brightrun.errors import ClaimLost
from tests.contract.database_rows import NOW, add_file, add_job
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)

LEASE = timedelta(seconds=60)
LATER = NOW + LEASE + timedelta(seconds=1)


def make_jobs(database: Database, count: int) -> list[str]:
    with database.session() as session:
        file = add_file(session)
        return [
            add_job(session, file, next_check_at=NOW - timedelta(seconds=count - number)).id for number in range(count)
        ]


def test_every_job_is_claimed_by_one_of_many(database: Database) -> None:
    """Two Database objects, as two studios have, with three threads each, racing for sixty jobs."""
    ids = make_jobs(database, 60)
    other = Database(database.url.render_as_string(hide_password=False))
    taken: dict[str, list[str]] = {}
    ready = threading.Barrier(6)

    def reconcile(owner: str, mine: Database) -> None:
        taken[owner] = []
        ready.wait()
        for _ in range(60):
            with mine.session() as session:
                claimed = jobs.claim_due(session, owner=owner, now=NOW, lease=LEASE, limit=3)
            if not claimed:
                return
            taken[owner] += [claim.job.id for claim in claimed]

    places = [(f"{name}-{number}", db) for number in range(3) for name, db in (("one", database), ("two", other))]
    threads = [threading.Thread(target=reconcile, args=place) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    counts = Counter(job_id for claimed in taken.values() for job_id in claimed)
    assert counts == Counter(ids)


def test_no_two_hold_a_job_while_claims_are_let_go(database: Database) -> None:
    """Claim, check that nobody else is inside, release; four threads on five jobs, forty turns each."""
    make_jobs(database, 5)
    inside: set[str] = set()
    guard = threading.Lock()
    failures: list[str] = []
    turns: list[str] = []

    def reconcile(owner: str) -> None:
        for _ in range(40):
            with database.session() as session:
                claimed = jobs.claim_due(session, owner=owner, now=NOW, lease=LEASE, limit=1)
            for claim in claimed:
                with guard:
                    if claim.job.id in inside:
                        failures.append(claim.job.id)
                    inside.add(claim.job.id)
                with guard:
                    inside.discard(claim.job.id)
                    turns.append(claim.job.id)
                with database.session() as session:
                    jobs.release_claim(session, claim.job.id, claim.token, next_check_at=NOW)

    threads = [threading.Thread(target=reconcile, args=(f"thread-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(turns) > 40


def test_the_longest_waiting_come_first(database: Database) -> None:
    ids = make_jobs(database, 5)
    with database.session() as session:
        claimed = jobs.claim_due(session, owner="one", now=NOW, lease=LEASE, limit=2)
        assert {claim.job.id for claim in claimed} == set(ids[:2])
        assert all(claim.expires_at == claim.job.claim_expires_at == NOW + LEASE for claim in claimed)
        assert {claim.job.claim_owner for claim in claimed} == {"one"}


def test_only_due_jobs_are_claimed(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        add_job(session, file, next_check_at=NOW + timedelta(microseconds=1))
        add_job(session, file, next_check_at=None)
        ended = add_job(session, file, status=JobStatus.FAILED, next_check_at=NOW)
        claimed = jobs.claim_due(session, owner="one", now=NOW, lease=LEASE, limit=10)
        assert [claim.job.id for claim in claimed] == [ended.id]


def test_an_expired_claim_passes_on_and_its_first_owner_loses(database: Database) -> None:
    make_jobs(database, 1)
    with database.session() as session:
        [first] = jobs.claim_due(session, owner="one", now=NOW, lease=LEASE, limit=1)
    with database.session() as session:
        assert jobs.claim_due(session, owner="two", now=NOW, lease=LEASE, limit=1) == []
    with database.session() as session:
        [second] = jobs.claim_due(session, owner="two", now=LATER, lease=LEASE, limit=1)
    for act in (
        lambda session: jobs.save_claimed(session, first.job.id, first.token, current_step=1),
        lambda session: jobs.renew_claim(session, first.job.id, first.token, now=LATER, lease=LEASE),
        lambda session: jobs.release_claim(session, first.job.id, first.token, next_check_at=None),
    ):
        with pytest.raises(ClaimLost), database.session() as session:
            act(session)
    with database.session() as session:
        saved = jobs.save_claimed(session, second.job.id, second.token, current_step=2)
        assert (saved.current_step, saved.claim_owner, saved.next_check_at) == (2, "two", NOW - timedelta(seconds=1))


def test_a_renewed_claim_holds(database: Database) -> None:
    make_jobs(database, 1)
    with database.session() as session:
        [claim] = jobs.claim_due(session, owner="one", now=NOW, lease=LEASE, limit=1)
        assert jobs.renew_claim(session, claim.job.id, claim.token, now=LATER, lease=LEASE) == LATER + LEASE
        assert jobs.claim_due(session, owner="two", now=LATER, lease=LEASE, limit=1) == []
        assert jobs.claim_one(session, claim.job.id, owner="two", now=LATER, lease=LEASE) is None


def test_one_job_is_claimed_before_its_time(database: Database) -> None:
    with database.session() as session:
        job = add_job(session, next_check_at=None)
        claim = jobs.claim_one(session, job.id, owner="one", now=NOW, lease=LEASE)
        assert claim is not None
        released = jobs.release_claim(session, job.id, claim.token, next_check_at=LATER)
        assert (released.claim_owner, released.claim_token, released.claim_expires_at) == (None, None, None)
        assert released.next_check_at == LATER


def test_a_status_changes_only_from_what_is_expected(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        moved = jobs.change_if(session, job.id, expected=[JobStatus.QUEUED], status=JobStatus.CANCELLED)
        assert moved is not None
        assert moved.status is JobStatus.CANCELLED
        assert jobs.change_if(session, job.id, expected=[JobStatus.QUEUED], status=JobStatus.COMPLETED) is None
    with database.reading() as session:
        stored = jobs.get(session, job.id)
        assert stored is not None
        assert stored.status is JobStatus.CANCELLED


def test_a_look_is_only_brought_forward(database: Database) -> None:
    with database.session() as session:
        job = add_job(session, next_check_at=None)
        for at, expected in ((LATER, LATER), (NOW, NOW), (LATER, NOW)):
            jobs.schedule_check(session, job.id, at=at)
            stored = jobs.get(session, job.id)
            assert stored is not None
            assert stored.next_check_at == expected
