"""Files, jobs, attempts, artifacts and tokens: what goes in comes out, what must not happen does not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy.exc import IntegrityError

from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, attempts, files, jobs, tokens
from brightrun.database.database import Database
from brightrun.database.tables import ApiToken, ModelArtifact, TrainingFile, TrainingJob
from brightrun.errors import DatasetInUse, NotFound
from tests.contract.database_rows import NOW, OWNER, add_file, add_job, job_of, lease_of
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)

LATER = NOW + timedelta(hours=1)


def test_money_times_json_and_words_come_back(database: Database) -> None:
    with database.session() as session:
        job = add_job(
            session,
            status=JobStatus.FAILED,
            reason=EndReason.DISK_FULL,
            estimated_cost_usd=Decimal("99999999.9999"),
            actual_cost_usd=Decimal("0.10005"),
            estimated_seconds=0.1,
            started_at=datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=3))),
            spec={"z": 1, "a": [True, None, "ü 🙂"], "lr": 1e-7},
            current_step=2**40,
        )
    with database.reading() as session:
        stored = session.get_one(TrainingJob, job.id)
    assert stored is not job
    assert (stored.status, stored.reason) == (JobStatus.FAILED, EndReason.DISK_FULL)
    assert stored.estimated_cost_usd == Decimal("99999999.9999")
    assert str(stored.actual_cost_usd) == "0.1000"
    assert stored.estimated_seconds == 0.1
    assert stored.started_at == datetime(2026, 11, 23, 9, 0, 0, 1, tzinfo=UTC)
    assert stored.started_at.tzinfo is UTC
    assert stored.created_at == NOW
    assert list(stored.spec) == ["z", "a", "lr"]
    assert stored.spec == job.spec
    assert stored.current_step == 2**40
    assert (stored.completed_at, stored.message, stored.metrics) == (None, None, None)


def test_costs_are_summed_exactly(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        assert attempts.total_cost(session, job.id) is None
        for number, cost in ((1, "0.1"), (2, "0.2"), (3, "1.2345")):
            attempt, new = attempts.open_lease(session, lease_of(job, number))
            assert new
            assert attempts.close_lease(
                session, attempt.id, ended_at=LATER, end_reason=EndReason.WORKER_LOST, cost_usd=Decimal(cost)
            )
        assert attempts.total_cost(session, job.id) == Decimal("1.5345")


def test_a_lease_is_opened_once_and_closed_once(database: Database) -> None:
    with database.session() as session:
        job = add_job(session)
        first, _ = attempts.open_lease(session, lease_of(job))
        again, new = attempts.open_lease(session, lease_of(job, provider="another"))
        assert (again.id, again.provider, new) == (first.id, "simulated", False)
        launched = attempts.save(session, first.id, machine_id="m-1", launched_at=NOW)
        assert (launched.machine_id, launched.launched_at) == ("m-1", NOW)
        closings = [
            attempts.close_lease(session, first.id, ended_at=at, end_reason=None, cost_usd=Decimal(1))
            for at in (NOW, LATER)
        ]
        assert closings == [True, False]
        assert first.ended_at == NOW
        second, _ = attempts.open_lease(session, lease_of(job, 2))
        assert attempts.newest(session, job.id) is second
        assert [each.number for each in attempts.list_for_job(session, job.id)] == [1, 2]
        with pytest.raises(NotFound):
            attempts.save(session, "nothing", machine_id="m-2")


def test_a_used_dataset_cannot_be_deleted(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        add_job(session, file)
    with pytest.raises(DatasetInUse), database.session() as session:
        files.delete(session, file.id, owner_id=OWNER, now=LATER)
    with pytest.raises(IntegrityError), database.session() as session:
        session.delete(session.get_one(TrainingFile, file.id))
    with database.reading() as session:
        assert files.get(session, file.id, owner_id=OWNER) is not None


def test_a_validation_dataset_is_used_too(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        job = add_job(session, validation_file_id=file.id)
    with database.reading() as session:
        assert files.count_jobs(session, file.id) == 1
        assert [each.id for each in files.list_jobs(session, file.id).items] == [job.id]
    with pytest.raises(DatasetInUse), database.session() as session:
        files.delete(session, file.id, owner_id=OWNER, now=LATER)
    with pytest.raises(IntegrityError), database.session() as session:
        session.delete(session.get_one(TrainingFile, file.id))


def test_an_unused_dataset_is_deleted_for_its_owner_only(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        with pytest.raises(NotFound):
            files.delete(session, file.id, owner_id="someone else", now=LATER)
        assert files.list_same(session, owner_id=OWNER, sha256="a" * 64) == [file]
        assert files.delete(session, file.id, owner_id=OWNER, now=LATER).deleted_at == LATER
        assert files.get(session, file.id) is None
        assert files.get_for_use(session, file.id, owner_id=OWNER) is None
        assert files.list_same(session, owner_id=OWNER, sha256="a" * 64) == []
        assert files.list_page(session, owner_id=OWNER).items == []
        with pytest.raises(NotFound):
            files.delete(session, file.id, owner_id=OWNER, now=LATER)


def test_a_dataset_is_used_or_deleted_never_both(database: Database) -> None:
    """One thread makes a job of each file while another deletes it."""
    with database.session() as session:
        made = [add_file(session).id for _ in range(20)]
    ready = threading.Barrier(2)

    def use() -> None:
        for file_id in made:
            ready.wait()
            with database.session() as session:
                if file := files.get_for_use(session, file_id, owner_id=OWNER):
                    jobs.add(session, job_of(file))

    user = threading.Thread(target=use)
    user.start()
    refused = 0
    for file_id in made:
        ready.wait()
        try:
            with database.session() as session:
                files.delete(session, file_id, owner_id=OWNER, now=LATER)
        except DatasetInUse:
            refused += 1
    user.join()
    with database.reading() as session:
        used = sum(files.count_jobs(session, file_id) for file_id in made)
        left = len(files.list_page(session, owner_id=OWNER, limit=50).items)
    assert used == left == refused


def test_an_idempotency_key_makes_one_job(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
    ready = threading.Barrier(4)
    outcomes: list[tuple[str, bool]] = []

    def submit(hash_of_body: str) -> None:
        job = job_of(file, idempotency_key="key-1", idempotency_hash=hash_of_body)
        ready.wait()
        with database.session() as session:
            stored, new = jobs.add(session, job)
            outcomes.append((stored.id, new))

    threads = [threading.Thread(target=submit, args=(str(number) * 64,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in outcomes}) == 1
    assert sorted(new for _, new in outcomes) == [False, False, False, True]
    with database.session() as session:
        assert add_job(session, file).id != add_job(session, file).id
        assert jobs.add(session, job_of(file, owner_id="other", idempotency_key="key-1"))[1]
        assert jobs.find_by_key(session, owner_id="nobody", key="key-1") is None


def test_pages_hold_every_job_once_newest_first(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        made = [add_job(session, file, created_at=NOW + timedelta(seconds=number // 3)).id for number in range(25)]
        foreign = add_job(session, file, owner_id="someone else")
    seen: list[TrainingJob] = []
    with database.reading() as session:
        after = None
        while True:
            page = jobs.list_page(session, owner_id=OWNER, limit=4, after=after)
            seen += page.items
            if not page.has_more:
                break
            after = page.items[-1].id
        with pytest.raises(NotFound):
            jobs.list_page(session, owner_id=OWNER, after=foreign.id)
    assert sorted(job.id for job in seen) == sorted(made)
    assert [job.created_at for job in seen] == sorted((job.created_at for job in seen), reverse=True)


def test_jobs_by_status(database: Database) -> None:
    with database.session() as session:
        file = add_file(session)
        old = add_job(session, file, status_changed_at=NOW - timedelta(hours=2))
        add_job(session, file)
        done = add_job(session, file, status=JobStatus.COMPLETED)
        assert jobs.count_by_status(session, owner_id=OWNER) == {JobStatus.QUEUED: 2, JobStatus.COMPLETED: 1}
        assert jobs.count_by_status(session, owner_id="nobody") == {}
        assert jobs.in_status_since(session, JobStatus.QUEUED, before=NOW) == [old]
        assert jobs.list_page(session, owner_id=OWNER, statuses=[JobStatus.COMPLETED]).items == [done]
        assert jobs.get(session, done.id, owner_id="someone else") is None
        assert jobs.get(session, done.id, owner_id=OWNER, lock=True) is done


def test_an_artifact_can_be_stored_again(database: Database) -> None:
    def adapter(job: TrainingJob, size: int, at: datetime) -> ModelArtifact:
        return ModelArtifact(
            job_id=job.id,
            owner_id=OWNER,
            attempt=1,
            artifact_type="lora_adapter",
            name="adapter_model.safetensors",
            storage_path="model-artifacts/lora_adapters/x",
            file_size_bytes=size,
            sha256="b" * 64,
            base_model="SmolLM2-135M-Instruct",
            validation_loss=1.5,
            created_at=at,
        )

    with database.session() as session:
        job = add_job(session)
        first = artifacts.save(session, adapter(job, 2**33, NOW))
        assert first.deployment_status == "stored"
        first.deployment_status = "testing"
        session.flush()
        again = artifacts.save(session, adapter(job, 7, LATER))
        assert (again.id, again.file_size_bytes, again.created_at) == (first.id, 7, NOW)
        assert again.deployment_status == "testing"
        assert artifacts.list_for_job(session, job.id) == [again]
        assert artifacts.get(session, again.id, owner_id="someone else") is None


def test_tokens_live_until_they_are_revoked(database: Database) -> None:
    with database.session() as session:
        token = tokens.add(
            session, ApiToken(owner_id=OWNER, name="laptop", token_sha256="c" * 64, prefix="brt_abc", created_at=NOW)
        )
    with database.session() as session:
        assert tokens.use_is_worth_noting(token, NOW)
        for at in (NOW, NOW + timedelta(seconds=59), LATER):
            tokens.note_use(session, token.id, at=at)
            token = tokens.find_live(session, "c" * 64) or token
            assert token.last_used_at == (LATER if at == LATER else NOW)
        assert not tokens.use_is_worth_noting(token, LATER)
        assert not tokens.revoke(session, token.id, owner_id="someone else", now=LATER)
        assert tokens.revoke(session, token.id, owner_id=OWNER, now=LATER)
        assert not tokens.revoke(session, token.id, owner_id=OWNER, now=LATER)
        assert tokens.find_live(session, "c" * 64) is None
        assert [each.id for each in tokens.list_page(session, owner_id=OWNER).items] == [token.id]
    with pytest.raises(IntegrityError), database.session() as session:
        tokens.add(
            session, ApiToken(owner_id=OWNER, name="again", token_sha256="c" * 64, prefix="brt_abc", created_at=NOW)
        )
