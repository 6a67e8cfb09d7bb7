"""The cap with the real worker: a local job with a simulated price stops within one step; its adapter loads.

With the studio alive, and with the studio killed while it trains. Canceling with an adapter goes the same way.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from brightrun.contract.events import Event
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import artifacts, events, jobs
from brightrun.database.claims import free_claims
from brightrun.database.tables import TrainingEvent
from brightrun.jobs.cancel import cancel_job
from brightrun.worker.limits import time_to_end
from tests.real_studio import LOOP, OWNER, RealStudio

pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),  # PEFT's, of transformers 5
]
PRICE = Decimal(3600)  # a dollar a second
LONG = {"num_epochs": 90, "checkpoints": 1, "evaluations": 1}  # minutes of steps, no checkpoint before the last


@pytest.fixture
def studio(tmp_path: Path, tiny_model: Path) -> Iterator[RealStudio]:
    made = RealStudio(tmp_path, tiny_model.parent, price=PRICE)
    yield made
    left = made.processes()
    for process in left:
        process.kill()
    made.close()
    assert left == []


@pytest.fixture(scope="module")
def cap(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> Decimal:
    """Dollars that last from the launch until some seconds after the first step, on this machine as it is now."""
    trial = RealStudio(tmp_path_factory.mktemp("trial"), tiny_model.parent, price=PRICE)
    job_id = trial.submit(sample_dataset, tiny_model.name, **LONG)
    trial.until(lambda: any(event.kind == "step" for event in trial.event_log(job_id)))
    first = next(event for event in trial.event_log(job_id) if event.kind == "step")
    launched = trial.leases(job_id)[0].launched_at
    assert launched is not None
    cancel_job(trial.studio, owner_id=OWNER, job_id=job_id)
    trial.until(lambda: trial.ended(job_id))
    trial.close()
    return Decimal(round(1.5 * (first.timestamp - launched).total_seconds() + 10))


def begin_capped(
    studio: RealStudio, dataset: Path, model: Path, cap: Decimal, *, looking: bool = True
) -> tuple[str, Decimal]:
    """A job that has made a step and will meet its cap; with more money where the machine became too busy.

    The cap is put into the row: submitting it would be refused, since the run is expected to cost more.
    """
    for times in (1, 3, 9):
        job_id = studio.submit(dataset, model.name, **LONG)
        with studio.studio.database.session() as session:
            jobs.change_if(session, job_id, expected=list(JobStatus), job_cap_usd=cap * times)
        studio.until(lambda job_id=job_id: told(studio, job_id, "step", "end"), looking=looking)
        if told(studio, job_id, "step"):
            return job_id, cap * times
        studio.until(lambda job_id=job_id: studio.ended(job_id), looking=looking)
    raise AssertionError("it never came to a step")


def told(studio: RealStudio, job_id: str, *kinds: str) -> bool:
    return any(event.kind in kinds for event in studio.event_log(job_id))


def test_the_cap_stops_a_job_and_leaves_its_adapter(
    studio: RealStudio, sample_dataset: Path, tiny_model: Path, cap: Decimal, tmp_path: Path
) -> None:
    job_id, cap = begin_capped(studio, sample_dataset, tiny_model, cap)
    studio.until(lambda: studio.ended(job_id))
    assert_stopped_at_the_cap(studio, job_id, cap)
    assert_adapter_loads(studio, job_id, tiny_model, tmp_path / "adapter")
    every = [event.data for event in stored_events(studio, job_id) if event.data.get("code") == "budget_warning"]
    assert [each["percent"] for each in every] == [50, 80, 100]


def test_with_the_studio_dead_the_worker_stops_by_itself(
    studio: RealStudio, sample_dataset: Path, tiny_model: Path, cap: Decimal, tmp_path: Path
) -> None:
    loop = subprocess.Popen(
        [sys.executable, "-m", "tests.real_studio", str(studio.home), str(studio.studio.models), str(PRICE)],
        cwd=Path(__file__).parents[2],
    )
    try:
        job_id, cap = begin_capped(studio, sample_dataset, tiny_model, cap, looking=False)
    finally:
        loop.kill()
    assert loop.wait() == -signal.SIGKILL
    studio.until(lambda: studio.processes("brightrun.worker run") == [], looking=False)
    end = studio.event_log(job_id)[-1]
    assert (end.kind, end.reason) == ("end", EndReason.BUDGET_REACHED), "nobody told it to"
    assert studio.job(job_id).status is not JobStatus.FAILED, "no studio has seen it yet"
    assert verify_bundle(studio.studio.run_folder(job_id).adapter).adapter_check["verified"] is False
    assert_stopped_at_the_cap(studio, job_id, cap, seen=False)

    with studio.studio.database.session() as session:
        free_claims(session, owner=LOOP)  # as `serve` does when it starts
    studio.until(lambda: studio.ended(job_id))
    assert_stopped_at_the_cap(studio, job_id, cap)
    assert_adapter_loads(studio, job_id, tiny_model, tmp_path / "adapter")


def test_canceling_keeps_what_was_trained(
    studio: RealStudio, sample_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    job_id = studio.submit(sample_dataset, tiny_model.name, **LONG)
    studio.until(lambda: sum(event.kind == "step" for event in studio.event_log(job_id)) >= 3)
    cancelled = cancel_job(studio.studio, owner_id=OWNER, job_id=job_id, export_on_stop=True)
    assert cancelled.status is JobStatus.CANCELLED
    studio.until(lambda: studio.ended(job_id))
    job, end = studio.job(job_id), studio.event_log(job_id)[-1]
    assert (job.status, job.reason) == (JobStatus.CANCELLED, EndReason.CANCELLED_BY_USER)
    assert (end.reason, end.data.known()["kept_step"]) == (
        EndReason.CANCELLED_BY_USER,
        steps_of(studio, job_id)[-1].step,
    )
    assert_adapter_loads(studio, job_id, tiny_model, tmp_path / "adapter")


def steps_of(studio: RealStudio, job_id: str) -> list[Event]:
    return [event for event in studio.event_log(job_id) if event.kind == "step"]


def stored_events(studio: RealStudio, job_id: str) -> list[TrainingEvent]:
    with studio.studio.database.reading() as session:
        return events.list_after(session, job_id, limit=10_000)


def assert_stopped_at_the_cap(studio: RealStudio, job_id: str, cap: Decimal, *, seen: bool = True) -> None:
    """The last step was affordable, and one more would not have been, or hardly."""
    (lease,) = studio.leases(job_id)
    assert lease.launched_at is not None
    at = lease.launched_at + timedelta(seconds=float(cap)) - time_to_end(32_768)
    steps = steps_of(studio, job_id)
    longest = max(after.timestamp - before.timestamp for before, after in pairwise(steps))
    print(f"cap at {at:%H:%M:%S.%f}, last step {(at - steps[-1].timestamp).total_seconds():.2f} s before, {longest=}")
    assert steps[-1].timestamp <= at
    assert at - steps[-1].timestamp <= 2 * longest
    if seen:
        job = studio.job(job_id)
        assert (job.status, job.reason) == (JobStatus.FAILED, EndReason.BUDGET_REACHED)
        assert job.hint == EndReason.BUDGET_REACHED.text.hint
        print(f"cost {job.actual_cost_usd} of {cap}")
        assert studio.processes() == []


def assert_adapter_loads(studio: RealStudio, job_id: str, model: Path, folder: Path) -> None:
    """What is in the store loads in plain PEFT, changes the base, and says that nothing is proven by it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with studio.studio.database.reading() as session:
        rows = [row for row in artifacts.list_for_job(session, job_id) if row.name.startswith("adapter/")]
    folder.mkdir()
    for row in rows:
        with studio.studio.storage.open(row.storage_path) as stream:
            (folder / row.name.removeprefix("adapter/")).write_bytes(stream.read())
    manifest = verify_bundle(folder)
    assert manifest.adapter_check["verified"] is False
    assert manifest.adapter_check["step"] == steps_of(studio, job_id)[-1].step
    assert {row.artifact_type for row in rows} == {"bundle_file", "partial_adapter"}
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, folder)
    ids = torch.tensor([[10, 20, 30, 40]])
    with torch.no_grad():
        on = tuned(input_ids=ids).logits
        with tuned.disable_adapter():
            off = tuned(input_ids=ids).logits
    assert float((on - off).abs().max()) > 1e-3
