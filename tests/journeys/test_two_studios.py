"""Two studios on one PostgreSQL: every job is launched once, whoever takes it."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.database.database import Database
from brightrun.jobs.decide import ReconcileLimits
from brightrun.jobs.reconcile import reconcile_once
from tests.contract.postgres import give_postgres_server, give_postgres_url  # noqa: F401 pytest finds fixtures by name
from tests.studio_world import OWNER, World

pytestmark = pytest.mark.slow
JOBS = 200


def test_200_jobs_are_each_launched_exactly_once(postgres_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url=postgres_url, limits=ReconcileLimits(poll=timedelta(seconds=60)))
    names = [world.add_job(f"job-{number}") for number in range(JOBS)]
    worked: Counter[str] = Counter()
    failures: list[BaseException] = []
    one_hand = threading.Lock()

    def live(name: str) -> None:
        studio = world.reborn()
        try:
            while not _all_ended(world.database):
                looked_at = reconcile_once(studio, owner=name, limit=10)
                worked[name] += looked_at
                if not looked_at:
                    with one_hand:  # time goes forward only
                        world.clock.turn(20)
        except BaseException as error:  # noqa: BLE001 a thread's failure is told by the test
            failures.append(error)

    threads = [threading.Thread(target=live, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)

    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    assert {world.job(name).status for name in names} == {JobStatus.COMPLETED}
    assert [world.simulated.launched(f"train-{name}-1") for name in names] == [1] * JOBS
    assert len(world.simulated.machines()) == JOBS
    assert min(worked.values()) > 0, "one studio did everything, so nothing was shown"
    world.database.close()


def _all_ended(database: Database) -> bool:
    """Every job has ended and nobody will look at one again."""
    with database.reading() as session:
        waiting = jobs.count_by_status(session, owner_id=OWNER)
        if set(waiting) - {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}:
            return False
        page = jobs.list_page(session, owner_id=OWNER, limit=200)
    return all(job.next_check_at is None for job in page.items)
