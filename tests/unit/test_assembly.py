"""Settings become a studio; a home is for one studio, whose rounds go on until it is stopped."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from brightrun.assembly import asks_to_sign_in, build_access, build_studio, build_web_options, studio_secret
from brightrun.cli.reconciler import Reconciler, lock_home
from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.database.claims import free_claims
from brightrun.errors import InputError, MachineError
from brightrun.jobs.alarms import overdue
from brightrun.jobs.reconcile import CLAIM_DURATION
from brightrun.settings import Settings
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
from brightrun.web.sign_in import SignedInAccess
from tests.faults import JOB, FaultyWorld
from tests.studio_world import World

EVERYWHERE = "0.0.0.0"  # noqa: S104 what must not happen unguarded


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key in list(os.environ):
        if key.startswith(("BRIGHTRUN_", "TRAINING_", "RUNPOD_")):
            monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)


def _settings(tmp_path: Path, **changes: Any) -> Settings:
    return Settings.model_validate({"home": tmp_path / "home", **changes})


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    studio = build_studio(settings)
    path = tmp_path / "home" / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_text().strip()
    assert len(kept) >= 32
    assert studio.webhook_secret.get_secret_value() == kept == studio_secret(settings).get_secret_value()
    assert kept not in repr(studio)
    given = _settings(tmp_path, webhook_secret="another-secret-of-mine")
    assert studio_secret(given).get_secret_value() == "another-secret-of-mine"
    path.write_text("short")
    with pytest.raises(InputError, match="holds no secret"):
        studio_secret(settings)
    studio.database.close()


def test_a_studio_is_built_whole(tmp_path: Path) -> None:
    token = "token-of-the-worker"
    studio = build_studio(
        _settings(tmp_path, runpod_endpoint_url="http://127.0.0.1:1", worker_token=token, compute="static_worker")
    )
    assert studio.database.is_current()
    assert set(studio.computes) == {"local_process", "static_worker"}
    assert studio.default_compute == "static_worker"
    assert studio.worker_tokens["static_worker"].get_secret_value() == token
    stored = studio.storage.put("training_files/x", b"bytes")
    assert (tmp_path / "home" / "storage" / "model-artifacts" / "training_files" / "x").read_bytes() == b"bytes"
    assert studio.storage.download_link(stored.key, expires=CLAIM_DURATION).startswith("/api/storage/")
    assert token not in repr(studio)
    studio.database.close()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"runpod_endpoint_url": "http://127.0.0.1:1"}, "TRAINING_WORKER_TOKEN"),
        ({"compute": "static_worker"}, "BRIGHTRUN_COMPUTE"),
        ({"database_url": "mysql://x"}, "mysql"),
    ],
)
def test_what_is_half_set_up_is_named(changes: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=named):
        build_studio(_settings(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "login"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"host": EVERYWHERE}, True),
        ({"host": "studio.example"}, True),
        ({"public_url": "https://studio.example"}, True),
    ],
)
def test_who_asks_for_a_login(changes: dict[str, str], login: bool, tmp_path: Path) -> None:
    settings = _settings(tmp_path, **changes)
    studio = build_studio(settings)
    access = build_access(settings, studio)
    assert asks_to_sign_in(settings) == access.login_required == login
    assert isinstance(access, SignedInAccess) == login
    assert build_web_options(settings).https == ("public_url" in changes)
    studio.database.close()


# The reconciler's rounds


def test_a_home_is_for_one_studio_and_keeps_its_name(tmp_path: Path) -> None:
    with lock_home(tmp_path) as name:
        assert name.startswith("studio-")
        with pytest.raises(MachineError, match="running already"), lock_home(tmp_path):
            raise AssertionError("two studios have one home")
    with lock_home(tmp_path) as again:
        assert again == name


def test_claims_of_a_killed_studio_are_taken_up_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    world.add_job("job-2")
    with world.database.session() as session:
        assert len(jobs.claim_due(session, owner="me", now=world.clock(), lease=CLAIM_DURATION, limit=1)) == 1
    with world.database.session() as session:
        assert len(jobs.claim_due(session, owner="another", now=world.clock(), lease=CLAIM_DURATION, limit=1)) == 1
    with world.database.session() as session:
        assert free_claims(session, owner="me") == 1
    with world.database.session() as session:
        assert len(jobs.claim_due(session, owner="me", now=world.clock(), lease=CLAIM_DURATION, limit=5)) == 1


def test_the_rounds_go_on_until_they_are_stopped(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    reconciler = Reconciler(world.studio, "me")
    reconciler.start()
    for _ in range(400):
        if world.job("job-1").status is not JobStatus.QUEUED:
            break
        threading.Event().wait(0.05)
    assert reconciler.stop()
    assert world.job("job-1").status is JobStatus.PROVISIONING
    assert Reconciler(world.studio, "never started").stop()


def test_the_rounds_forget_what_is_left_behind(tmp_path: Path) -> None:
    """What killed writers left in the store, and what is kept of a dataset that another studio deleted."""
    signer = LinkSigner("a secret for links", "http://localhost")
    world = World(tmp_path)
    store = LocalFolder(tmp_path / "store", signer, clock=lambda: datetime.now(UTC))
    left, kept = tmp_path / "store" / ".staging" / "half", world.studio.home / "examined" / ("ab" * 32) / "key"
    for path in (left, kept):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    for path in (left, kept.parent):
        os.utime(path, (0, 0))
    reconciler = Reconciler(replace(world.studio, storage=store), "me")
    reconciler.start()
    assert holds(lambda: not left.exists() and not kept.exists())
    assert reconciler.stop()


def test_a_claim_that_could_not_be_let_go_is_taken_up_by_the_next_round(tmp_path: Path) -> None:
    """The database goes away amid an act. The clock stands still meanwhile, so the claim does not lapse."""
    world = FaultyWorld(tmp_path)
    amid, locked = threading.Event(), threading.Event()
    world.seam.after(1, lambda: (amid.set(), locked.wait(20)))  # type: ignore[arg-type, func-returns-value]
    holder = sqlite3.connect(str(world.database.url.database), isolation_level=None)
    reconciler = Reconciler(world.studio, "me")
    reconciler.start()
    assert amid.wait(20)
    holder.execute("BEGIN IMMEDIATE")
    locked.set()
    assert holds(lambda: reconciler.broke_off)
    holder.execute("ROLLBACK")
    assert holds(lambda: world.leases(JOB)[0].machine_id is not None)
    assert reconciler.stop()
    holder.close()
    world.close()


def test_a_job_that_is_too_long_in_its_state_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path)
    world.add_job("job-1")
    with world.database.reading() as session:
        assert overdue(session, now=world.clock() + timedelta(hours=1)) == []
    world.clock.turn(3601)
    reconciler = Reconciler(world.studio, "me")
    assert [reconciler.raise_alarms(), reconciler.raise_alarms()] == [1, 1]
    told = [record.getMessage() for record in caplog.records if "longer than" in record.getMessage()]
    assert told == [
        "Job job-1 is queued since 23 November 12:00 UTC, longer than 1 h 00 min. See why: brightrun job show job-1"
    ]
    world.database.close()


def holds(what: Callable[[], bool]) -> bool:
    """Whether it comes to hold, in another thread's time."""
    return any(what() or threading.Event().wait(0.02) for _ in range(1000))
