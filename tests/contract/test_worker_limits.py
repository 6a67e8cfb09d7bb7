"""The real training process at its limits: it stops within one step, leaves an adapter that loads, and says why."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from brightrun.contract.events import Event, read_event_log
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.messages import WebhookReply
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.worker import supervise
from brightrun.worker.event_log_reader import Span
from brightrun.worker.job_record import JobRecord
from brightrun.worker.limits import time_to_end
from brightrun.worker.server import WorkerServer
from tests.contract.test_worker_server import request_for, trainers, wait_for
from tests.runs import make_run, start_worker

pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),  # PEFT's, of transformers 5
]
LONG = {"num_epochs": 60, "checkpoints": 1, "evaluations": 1}  # hundreds of steps, no checkpoint before the last
SECOND = timedelta(seconds=1)
PRICE = Decimal(3600)  # a dollar a second
RESERVE = time_to_end(32_768)  # of the tiny model's adapter, which is next to nothing


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> RunFolder:
    return make_run(tmp_path / "jobs" / "limited", tiny_model, sample_dataset, **LONG)


def limit_when(folder: RunFolder, seen: Callable[[Event], bool], limits: Callable[[datetime], dict[str, Any]]) -> int:
    """Run the worker and, once the event log tells of it, write the limits; the exit status."""
    process = start_worker(folder)
    try:
        wait_for(lambda: any(seen(event) for event in read_event_log(folder.event_log)) or process.poll() is not None)
        write_limits(folder, limits(datetime.now(UTC)))
        process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode


def write_limits(folder: RunFolder, limits: dict[str, Any]) -> None:
    record = JobRecord(job_id="test-job", spans=(Span(attempt=1, begins_after=0),), started_at=datetime.now(UTC))
    record.model_copy(update=limits).save(folder.root)


def is_step(number: int) -> Callable[[Event], bool]:
    return lambda event: event.kind == "step" and event.step == number


def affordable_for(seconds: float, now: datetime) -> dict[str, Any]:
    """A cap that a machine paid for since a minute reaches so many seconds from now."""
    since = now - timedelta(minutes=1)
    cap = Decimal(60 + seconds)
    return {"price_usd_per_hour": PRICE, "max_cost_usd": cap, "paid_since": since}


def test_the_cap_ends_a_run_within_one_step_and_leaves_an_adapter(folder: RunFolder, tiny_model: Path) -> None:
    at: list[datetime] = []

    def soon(now: datetime) -> dict[str, Any]:
        at.append(now + 2 * SECOND)
        return affordable_for(2 + RESERVE.total_seconds(), now)

    assert limit_when(folder, is_step(5), soon) == 1

    told = list(read_event_log(folder.event_log))
    steps = [event for event in told if event.kind == "step"]
    longest = max(after.timestamp - before.timestamp for before, after in pairwise(steps))
    assert steps[-1].timestamp <= at[0], "a step was begun that could not be paid"
    assert at[0] - steps[-1].timestamp <= 2 * longest, "it stopped long before it had to"
    last = told[-1]
    assert (last.kind, last.status, last.reason) == ("end", JobStatus.FAILED, EndReason.BUDGET_REACHED)
    assert last.data.known()["kept_step"] == steps[-1].step, "the checkpoint is of the very last step"
    assert str(steps[-1].step) in (last.message or "")
    assert_loads(folder, tiny_model, step=steps[-1].step or 0)


def test_a_deadline_does_the_same(folder: RunFolder) -> None:
    assert limit_when(folder, is_step(3), lambda now: {"deadline": now}) == 1
    told = list(read_event_log(folder.event_log))
    assert told[-1].reason is EndReason.TIME_LIMIT
    assert told[-1].data.known()["kept_step"] == max(event.step or 0 for event in told if event.kind == "step")
    assert verify_bundle(folder.adapter).adapter_check["verified"] is False


def test_before_the_first_step_there_is_nothing_to_keep(folder: RunFolder) -> None:
    write_limits(folder, affordable_for(-1, datetime.now(UTC)))
    process = start_worker(folder)
    process.communicate(timeout=120)
    assert process.returncode == 1
    told = list(read_event_log(folder.event_log))
    assert told[-1].reason is EndReason.BUDGET_REACHED
    assert "kept_step" not in told[-1].data.known()
    assert "no checkpoint" in (told[-1].message or "")
    assert not any(event.status is JobStatus.MODEL_LOADED for event in told), "the model was loaded all the same"
    assert not folder.adapter.exists()


def test_a_run_goes_on_from_where_its_cap_ended_it(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    """Nothing of the stop is left in what is trained: the adapter is that of a run without it."""
    whole, capped = (make_run(tmp_path / name, tiny_model, sample_dataset) for name in ("whole", "capped"))
    assert _run(whole) == 0
    assert limit_when(capped, is_step(3), lambda now: {"deadline": now}) == 1
    write_limits(capped, {})
    assert _run(capped) == 0
    adapters = [(folder.adapter / "adapter_model.safetensors").read_bytes() for folder in (whole, capped)]
    assert adapters[0] == adapters[1]
    assert verify_bundle(capped.adapter).adapter_check["adapter_on_differs"] is True


def _run(folder: RunFolder) -> int:
    process = start_worker(folder)
    process.communicate(timeout=120)
    return process.returncode


def test_a_process_that_hangs_is_ended_and_its_last_checkpoint_exported(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_BEYOND_LIMIT", SECOND)
    folder = make_run(tmp_path / "jobs" / "hung", tiny_model, sample_dataset, num_epochs=60, checkpoints=100)
    server = WorkerServer(tmp_path / "jobs", worker="machine-7", grace=SECOND)
    server.find_again()
    try:
        server.start(request_for(folder, deadline=datetime.now(UTC) + timedelta(hours=1)))
        wait_for(lambda: list(folder.checkpoints.glob("step-*")))
        (pid,) = trainers(folder.root)
        psutil.Process(pid).send_signal(signal.SIGSTOP)
        server._jobs["hung"]._book.change(deadline=datetime.now(UTC))
        wait_for(lambda: not server.status("hung").alive)
        ended = wait_for(lambda: (status := server.status("hung")) and not status.exporting and status)
    finally:
        server.close()
    assert ended.export_error is None
    assert ended.events[-1].reason is EndReason.TIME_LIMIT
    adapter_check = verify_bundle(folder.adapter).adapter_check
    assert adapter_check["verified"] is False
    assert (folder.checkpoints / f"step-{adapter_check['step']:06d}").is_dir()


def test_a_run_that_is_asked_to_stop_keeps_its_very_last_step(folder: RunFolder, tmp_path: Path) -> None:
    server = WorkerServer(tmp_path / "jobs", worker="machine-7")
    server.find_again()
    try:
        server.start(request_for(folder))
        wait_for(lambda: any(event.kind == "step" for event in server.status("limited").events))
        began = time.monotonic()
        server.stop("limited", export=True, graceful_stop_reason=EndReason.CANCELLED_BY_USER)
        assert time.monotonic() - began < 1, "asking waits for nothing"
        wait_for(lambda: not server.status("limited").alive)
        status = server.stop("limited", export=True, graceful_stop_reason=EndReason.CANCELLED_BY_USER)
    finally:
        server.close()
    last = status.events[-1]
    assert (last.kind, last.reason) == ("end", EndReason.CANCELLED_BY_USER)
    assert last.data.known()["kept_step"] == max(event.step or 0 for event in status.events if event.kind == "step")
    assert not status.exporting, "the process made the adapter itself"
    assert "adapter/adapter_model.safetensors" in {file.name for file in status.artifacts}


def test_asked_to_stop_a_run_without_a_checkpoint_says_so_once(folder: RunFolder, tmp_path: Path) -> None:
    server = WorkerServer(tmp_path / "jobs", worker="machine-7")
    server.find_again()
    try:
        server.start(request_for(folder))
        server.stop("limited", export=False)
        ask = lambda: server.stop("limited", export=True, graceful_stop_reason=EndReason.CANCELLED_BY_USER)  # noqa: E731
        status = wait_for(lambda: (told := ask()) and not told.exporting and told)
        assert "no whole checkpoint" in (status.export_error or "")
        assert ask().export_error == status.export_error
    finally:
        server.close()


def assert_loads(folder: RunFolder, model: Path, *, step: int) -> None:
    """In plain PEFT, without us; it changes the base, and it is the checkpoint's adapter in bf16."""
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    manifest = verify_bundle(folder.adapter)
    assert manifest.fingerprint == JobSpec.load(folder.spec).fingerprint()
    assert (manifest.adapter_check["verified"], manifest.adapter_check["step"]) == (False, step)
    assert "partial" in (folder.adapter / "README.md").read_text(encoding="utf-8")
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, folder.adapter)
    ids = torch.tensor([[10, 20, 30, 40]])
    with torch.no_grad():
        on = tuned(input_ids=ids).logits
        with tuned.disable_adapter():
            off = tuned(input_ids=ids).logits
    assert float((on - off).abs().max()) > 1e-3
    kept = load_file(folder.checkpoints / f"step-{step:06d}" / "adapter_model.safetensors")
    delivered = load_file(folder.adapter / "adapter_model.safetensors")
    assert all(torch.equal(delivered[name], weight.to(torch.bfloat16)) for name, weight in kept.items())


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (WebhookReply(continue_=False, acknowledged=0, reason="budget_reached", export_on_stop=True), "budget_reached"),
        (WebhookReply(continue_=False, acknowledged=0, reason="cancelled_by_user"), "interrupted"),
    ],
)
def test_told_by_a_webhook_the_run_ends_after_its_step_or_at_once(
    folder: RunFolder, tmp_path: Path, reply: WebhookReply, reason: str
) -> None:
    """The studio's answer to a pushed batch may be the first that the worker hears of it."""
    server = WorkerServer(tmp_path / "jobs", worker="machine-7", grace=SECOND)
    server.find_again()
    try:
        server.start(request_for(folder))
        wait_for(lambda: any(event.kind == "step" for event in server.status("limited").events))
        server._jobs["limited"]._stop_as_told(reply)
        wait_for(lambda: not server.status("limited").alive)
        last = server.status("limited").events[-1]
    finally:
        server.close()
    assert (last.kind, last.reason) == ("end", reason)
    assert folder.adapter.is_dir() is reply.export_on_stop
