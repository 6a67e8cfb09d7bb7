"""The fault matrix with real processes and real signals: every state × every fault that can strike there.

What test_fault_matrix.py does with simulated machines and a clock that is turned, one job for each cell, is done here
with the worker, training a very small model, and with kill -9. An attempt costs some seconds, most of them the
imports of the training stack, so one job meets one kind of fault in every state, one after the other: that it comes
to the next state shows that the strike before did no lasting harm, and its adapter must have the bits of a job that
nothing befell. Only a full disk ends a job, so it has a job for each state.

What cannot be: no machine is lost, no training killed, no webhook sent and no worker's disk full before there is one;
a training process, and with it a event log, is there from preprocessing on. While a job is not uploading, nothing of it
touches the store (its machine shares the disk), so an outage passes unfelt there; that is what those six cells show.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brightrun.contract.messages import EventBatch
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import NotEnoughDisk
from brightrun.jobs.cancel import cancel_job
from brightrun.jobs.record_event import record_events
from brightrun.jobs.retry import retry_job
from tests.faults import STATES, WITH_MACHINE, WITH_PROCESS
from tests.real_faults import (
    LOCK_WAIT_SECONDS,
    OUTAGE_SECONDS,
    BadNetwork,
    Delays,
    Duplicates,
    Loses,
    Reorders,
    ServedStudio,
    fill_disk,
    known,
    listening,
    locked,
    stopped_at,
    with_door,
    without_store,
)
from tests.real_studio import OWNER, RealStudio
from tests.real_verdicts import completed_adapter, facts, failures, steps_told, stored_adapter

pytestmark = [pytest.mark.worker, pytest.mark.slow]
QUICK = {"gradient_accumulation_steps": 4}  # four steps, a checkpoint after each
MODEL = "tiny-llama"
WEBHOOKS = {"lost": Loses, "duplicated": Duplicates, "reordered": Reorders, "delayed past the end": Delays}
CELLS = {
    "studio killed": STATES,
    "worker server killed": WITH_MACHINE,
    "training process killed": WITH_PROCESS,
    "database locked for 30 s": STATES,
    "storage failing for 30 s": STATES,
    **{f"webhook {name}": WITH_PROCESS for name in WEBHOOKS},
    "disk full on the worker": WITH_MACHINE,
}
RAN: set[tuple[str, JobStatus]] = set()
_OWN_MOUNTS = ("unshare", "-Urm")


@contextmanager
def a_studio(home: Path, models: Path, **settings: object) -> Iterator[RealStudio]:
    made = RealStudio(home, models, **settings)  # type: ignore[arg-type]
    try:
        yield made
        assert made.processes() == []
    finally:
        for process in made.processes():
            process.kill()
        made.close()


@pytest.fixture
def models(tiny_model: Path) -> Path:
    assert tiny_model.name == MODEL
    return tiny_model.parent


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> str:
    """sha256 of the adapter of a job that nothing happened to."""
    with a_studio(tmp_path_factory.mktemp("undisturbed"), tiny_model.parent) as calm:
        job_id = calm.submit(sample_dataset, MODEL, **QUICK)
        with calm.looking():
            calm.until(lambda: calm.ended(job_id), looking=False)
        return completed_adapter(calm, job_id, machines=1)


def test_studio_killed(tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str) -> None:
    """`brightrun serve`, killed in every state and started again; the worker goes on meanwhile and is not replaced."""
    with a_studio(tmp_path, models) as studio:
        served = ServedStudio(studio)
        try:
            served.starts()
            studio.until(served.is_up, looking=False)
            served.pause()  # so that it does not take the job before it dies
            job_id = studio.submit(sample_dataset, MODEL, **QUICK)
            inject(served, job_id, JobStatus.QUEUED)
            studio.until(lambda: studio.processes("brightrun.worker serve") != [], looking=False)
            inject(served, job_id, JobStatus.PROVISIONING)
            for state in WITH_PROCESS:
                with stopped_at(studio, job_id, state):
                    known(studio, job_id, state)
                    inject(served, job_id, state)
            studio.until(lambda: studio.ended(job_id), looking=False)
        finally:
            served.ends()
        assert served.kills == len(STATES)
        assert completed_adapter(studio, job_id, machines=1) == undisturbed
    it_ran("studio killed")


def inject(served: ServedStudio, job_id: str, state: JobStatus) -> None:
    served.kill()
    assert served.studio.job(job_id).status is state
    served.starts()


def test_worker_server_killed(tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str) -> None:
    """One machine after the other is lost, each in the next state; every one goes on from what the last one left."""
    with a_studio(tmp_path, models, attempts=len(WITH_MACHINE) + 1) as studio:
        job_id = studio.submit(sample_dataset, MODEL, **QUICK)
        with studio.looking():
            studio.until(lambda: studio.processes("brightrun.worker serve") != [], looking=False)
            assert studio.job(job_id).status is JobStatus.PROVISIONING
            kill(studio, "brightrun.worker serve")
            for attempt, state in enumerate(WITH_PROCESS, start=2):
                with stopped_at(studio, job_id, state, attempt=attempt):
                    known(studio, job_id, state)
                    kill(studio, "brightrun.worker serve")
                    studio.until(lambda n=attempt: len(studio.leases(job_id)) > n, looking=False)  # type: ignore[misc]
            studio.until(lambda: studio.ended(job_id), looking=False)
        machines = len(WITH_MACHINE) + 1
        assert completed_adapter(studio, job_id, machines=machines) == undisturbed
        lost = [lease.end_reason for lease in studio.leases(job_id)]
        assert lost == [EndReason.WORKER_LOST] * len(WITH_MACHINE) + [None]
        assert any("resumed_step" in event.data.known() for event in studio.event_log(job_id))
    it_ran("worker server killed")


def test_training_process_killed(tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str) -> None:
    """As the server's, but the server lives and tells of it."""
    with a_studio(tmp_path, models, attempts=len(WITH_PROCESS) + 1) as studio:
        job_id = studio.submit(sample_dataset, MODEL, **QUICK)
        with studio.looking():
            for attempt, state in enumerate(WITH_PROCESS, start=1):
                with stopped_at(studio, job_id, state, attempt=attempt) as training:
                    known(studio, job_id, state)
                    training.kill()
                    studio.until(lambda n=attempt: len(studio.leases(job_id)) > n, looking=False)  # type: ignore[misc]
            studio.until(lambda: studio.ended(job_id), looking=False)
        machines = len(WITH_PROCESS) + 1
        assert completed_adapter(studio, job_id, machines=machines) == undisturbed
        told = [lease.end_reason for lease in studio.leases(job_id)]
        assert told == [EndReason.INTERRUPTED] * len(WITH_PROCESS) + [None]
        assert any("resumed_step" in event.data.known() for event in studio.event_log(job_id))
    it_ran("training process killed")


def kill(studio: RealStudio, words: str) -> None:
    (process,) = studio.processes(words)
    process.kill()


def test_database_locked(tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str) -> None:
    """1.5 seconds of a writer's patience of 3, for 30 of 60; in the last state the worker ends meanwhile."""
    with a_studio(tmp_path, models, lock_wait_seconds=LOCK_WAIT_SECONDS) as studio:
        job_id = studio.submit(sample_dataset, MODEL, **QUICK)
        first = threading.Thread(target=studio.poll)
        feel_the_lock(studio, job_id, JobStatus.QUEUED, meanwhile=first.start)
        first.join()
        with studio.looking():
            feel_the_lock(studio, job_id, JobStatus.PROVISIONING)
            for state in WITH_PROCESS:
                with stopped_at(studio, job_id, state) as training:
                    known(studio, job_id, state)
                    ends = training.resume if state is JobStatus.UPLOADING else nothing
                    feel_the_lock(studio, job_id, state, meanwhile=ends)
            studio.until(lambda: studio.ended(job_id), looking=False)
        assert completed_adapter(studio, job_id, machines=1) == undisturbed
    it_ran("database locked for 30 s")


def nothing() -> None:
    """Happens meanwhile."""


def feel_the_lock(
    studio: RealStudio, job_id: str, state: JobStatus, *, meanwhile: Callable[[], None] = nothing
) -> None:
    """The studio would look at the job long since, and its row stays as it was."""
    with locked(studio):
        before = studio.job(job_id)
        meanwhile()
        time.sleep(OUTAGE_SECONDS)
        after = studio.job(job_id)
    assert before.status is after.status is state
    assert before.next_check_at == after.next_check_at
    assert after.next_check_at is not None
    assert (datetime.now(UTC) - after.next_check_at).total_seconds() > OUTAGE_SECONDS / 2, "it was not felt"


def test_storage_failing(tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str) -> None:
    """The store drops off in every state and comes back in the next; while files come home, for 1.5 seconds."""
    with a_studio(tmp_path, models) as studio, ExitStack() as outage:
        job_id = studio.submit(sample_dataset, MODEL, **QUICK)
        outage.enter_context(without_store(studio))
        assert studio.job(job_id).status is JobStatus.QUEUED
        with studio.looking():
            known(studio, job_id, JobStatus.PROVISIONING)
            for state in (JobStatus.PROVISIONING, *WITH_PROCESS):
                with stopped_at(studio, job_id, state) if state in WITH_PROCESS else nullcontext():
                    known(studio, job_id, state)
                    outage.close()
                    outage.enter_context(without_store(studio))
            studio.until(lambda: failures(studio, job_id) > 0, looking=False)
            time.sleep(OUTAGE_SECONDS)
            outage.close()
            assert failures(studio, job_id) > 1
            studio.until(lambda: studio.ended(job_id), looking=False)
        assert completed_adapter(studio, job_id, machines=1, failures_told=failures(studio, job_id)) == undisturbed
    it_ran("storage failing for 30 s")


@pytest.mark.parametrize("name", WEBHOOKS)
def test_webhook(name: str, tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str) -> None:
    """Once the worker is started nobody asks it any more: what the studio knows came through the bad network."""
    network = WEBHOOKS[name]()
    with (
        listening(network) as address,
        a_studio(tmp_path, models, public_url=address) as studio,
        with_door(studio, network),
    ):
        job_id = studio.submit(sample_dataset, MODEL, **QUICK)
        studio.until(lambda: studio.event_log(job_id) != [])
        if name != "delayed past the end":
            for state in WITH_PROCESS:
                with stopped_at(studio, job_id, state):
                    studio.until(lambda now=state: network.struck[now] > 0, looking=False)  # type: ignore[misc]
                    known(studio, job_id, state)
        else:
            studio.until(lambda: set(network.struck) >= set(WITH_PROCESS), looking=False)
            assert studio.job(job_id).status in {JobStatus.PROVISIONING, JobStatus.PREPROCESSING}
        studio.until(lambda: studio.ended(job_id))
        assert completed_adapter(studio, job_id, machines=1) == undisturbed
        assert_nothing_changes_any_more(studio, job_id, network)
    it_ran(f"webhook {name}")


def assert_nothing_changes_any_more(studio: RealStudio, job_id: str, network: BadNetwork) -> None:
    before = facts(studio, job_id)
    replies = network.everything_again()
    assert replies
    assert not any(reply.continue_ for reply in replies)
    studio.poll()
    assert facts(studio, job_id) == before


def may_have_own_mounts() -> bool:
    try:
        tried = subprocess.run(
            [*_OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(not may_have_own_mounts(), reason="needs `unshare -Urm`, to give a worker a small disk of its own")
@pytest.mark.parametrize("state", WITH_MACHINE)
def test_disk_full_on_the_worker(state: JobStatus, tmp_path: Path, models: Path, sample_dataset: Path) -> None:
    """The run's folder is a disk of its own, of which no byte is left from one moment on."""
    with a_studio(tmp_path, models) as plain:
        job_id = plain.submit(sample_dataset, MODEL, **QUICK)
    with a_studio(tmp_path, models, command=with_own_disk(tmp_path, plain.studio.run_folder(job_id).root)) as studio:
        studio.until(lambda: len(studio.leases(job_id)) == 1 and studio.leases(job_id)[0].machine_id is not None)
        (server,) = studio.processes("brightrun.worker serve")
        there = Path(f"/proc/{server.pid}/root") / studio.studio.run_folder(job_id).root.relative_to("/")
        studio.until((there / "mounted").exists, looking=False)
        if state is JobStatus.PROVISIONING:
            fill_disk(there)
            assert studio.job(job_id).status is state
        with studio.looking():
            if state is not JobStatus.PROVISIONING:
                with stopped_at(studio, job_id, state, folder=there):
                    known(studio, job_id, state)
                    fill_disk(there)
            studio.until(lambda: studio.ended(job_id), looking=False)
        job = studio.job(job_id)
        assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.DISK_FULL), job.message
        assert job.hint in {EndReason.DISK_FULL.text.hint, NotEnoughDisk.default_hint}
        assert job.lora_artifact_path is None
        assert [lease.ended_at is not None for lease in studio.leases(job_id)] == [True]
    RAN.add(("disk full on the worker", state))


def with_own_disk(home: Path, run: Path) -> tuple[str, ...]:
    """A worker server whose run's folder is 300 MB in memory, seen by it alone."""
    folder, copy = shlex.quote(str(run)), shlex.quote(str(home / "copy"))
    made = f"cp -a {folder} {copy} && mount -t tmpfs -o size=300m tmpfs {folder} && cp -a {copy}/. {folder}/"
    told = f"touch {folder}/mounted"
    served = f'{made} && {told} && exec {shlex.quote(sys.executable)} -m brightrun.worker serve "$@"'
    return (*_OWN_MOUNTS, "sh", "-c", served, "sh")


def test_cancelled(tmp_path: Path, models: Path, sample_dataset: Path) -> None:
    """Nothing runs any more within 10 seconds, and what the worker still had to say changes nothing."""
    with a_studio(tmp_path, models) as studio:
        job_id = studio.submit(sample_dataset, MODEL, **QUICK)
        with studio.looking():
            with stopped_at(studio, job_id, JobStatus.TRAINING):
                known(studio, job_id, JobStatus.TRAINING)
            asked = time.monotonic()
            assert cancel_job(studio.studio, owner_id=OWNER, job_id=job_id).status is JobStatus.CANCELLED
            studio.until(lambda: studio.processes() == [], looking=False)
            assert time.monotonic() - asked < 10
            studio.until(lambda: studio.ended(job_id), looking=False)
        before = studio.job(job_id)
        machine = studio.leases(job_id)[0].machine_name
        late = EventBatch.telling(job_id, 1, machine, studio.event_log(job_id))
        assert record_events(studio.studio.database, late, now=studio.studio.clock()).continue_ is False
        studio.poll()
        after = studio.job(job_id)
        assert after.status is JobStatus.CANCELLED
        assert (after.message, after.reason, after.completed_at, after.current_step) == (
            before.message, EndReason.CANCELLED_BY_USER, before.completed_at, before.current_step,
        )  # fmt: skip
        assert all(lease.ended_at is not None for lease in studio.leases(job_id))


def test_a_retry_goes_on_from_what_the_last_machine_left(
    tmp_path: Path, models: Path, sample_dataset: Path, undisturbed: str
) -> None:
    """Every machine a job may have was lost (here: one, for the product's three), so it failed; its owner retries."""
    with a_studio(tmp_path, models, attempts=1) as studio:
        failed = studio.submit(sample_dataset, MODEL, **QUICK)
        with studio.looking():
            with stopped_at(studio, failed, JobStatus.TRAINING) as training:
                known(studio, failed, JobStatus.TRAINING)
                training.kill()
            studio.until(lambda: studio.ended(failed), looking=False)
            job = studio.job(failed)
            assert (job.status, job.reason, job.hint) == (
                JobStatus.FAILED, EndReason.INTERRUPTED, EndReason.INTERRUPTED.text.hint,
            )  # fmt: skip
            assert EndReason.INTERRUPTED.text.retry_makes_sense
            again = retry_job(studio.studio, owner_id=OWNER, job_id=failed).id
            studio.until(lambda: studio.ended(again), looking=False)
        (gone_on,) = (event for event in studio.event_log(again) if "resumed_step" in event.data.known())
        assert gone_on.data.known()["resumed_step"] > 0
        assert steps_told(studio, again) == list(range(gone_on.data.known()["resumed_step"] + 1, 5))
        assert stored_adapter(studio, again) == undisturbed
        assert studio.job(failed).status is JobStatus.FAILED


def test_the_count(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    cells = sum(len(states) for states in CELLS.values())
    here = {item.name.split("[")[0] for item in request.session.items if __name__.endswith(item.path.stem)}
    whole = here >= {name for name in globals() if name.startswith("test_")} and may_have_own_mounts()
    if whole and os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") == "1":  # otherwise other processes ran some
        assert len(RAN) == cells
    jobs = len(CELLS) - 1 + len(WITH_MACHINE)
    said = f"{len(RAN)} of {cells} cells ({len(CELLS)} faults, {len(STATES)} states, {jobs} jobs) ran here"
    with capsys.disabled():
        print(f"\nfault matrix with the real worker: {said}")


def it_ran(fault: str) -> None:
    RAN.update((fault, state) for state in CELLS[fault])
