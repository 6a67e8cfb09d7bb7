"""A run that is killed at any moment ends with the very adapter of a run that was not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from brightrun.contract.events import read_event_log
from brightrun.contract.job_spec import file_sha256
from brightrun.contract.run_folder import RunFolder
from tests.runs import make_run, run_worker, start_worker

pytestmark = [pytest.mark.worker, pytest.mark.slow]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> str:
    """sha256 of the adapter of a run that nothing happened to."""
    folder = make_run(tmp_path_factory.mktemp("whole") / "run", tiny_model, sample_dataset)
    assert run_worker(folder) == 0
    return file_sha256(folder.adapter / "adapter_model.safetensors")


@pytest.mark.parametrize("moment", ["step 1", "step 3", "step 5", "step 6", "final"])
def test_killed_run_ends_with_the_same_adapter(
    moment: str, tmp_path: Path, tiny_model: Path, sample_dataset: Path, uninterrupted: str
) -> None:
    folder = make_run(tmp_path / "run", tiny_model, sample_dataset)
    kill_when(folder, moment)
    assert not folder.adapter.exists()

    assert run_worker(folder) == 0

    assert file_sha256(folder.adapter / "adapter_model.safetensors") == uninterrupted
    assert [event.sequence for event in read_event_log(folder.event_log)] == list(
        range(1, 1 + sum(1 for _ in read_event_log(folder.event_log)))
    )


@pytest.mark.parametrize("point", ["weights", "sealed"])
def test_killed_while_writing_a_checkpoint(
    point: str, tmp_path: Path, tiny_model: Path, sample_dataset: Path, uninterrupted: str
) -> None:
    folder = make_run(tmp_path / "run", tiny_model, sample_dataset)
    kill_inside_checkpoint(folder, second_file="adapter_model.safetensors" if point == "weights" else "checkpoint.json")

    assert run_worker(folder) == 0

    assert file_sha256(folder.adapter / "adapter_model.safetensors") == uninterrupted


def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path, uninterrupted: str
) -> None:
    folder = make_run(tmp_path / "run", tiny_model, sample_dataset)
    kill_when(folder, "step 6")
    newest = max(folder.checkpoints.glob("step-*"))
    optimizer = newest / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:-7])

    assert run_worker(folder) == 0

    told = [event.message or "" for event in read_event_log(folder.event_log)]
    assert any(f"{newest.name} is damaged" in message for message in told)
    assert file_sha256(folder.adapter / "adapter_model.safetensors") == uninterrupted


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    folder = make_run(tmp_path / "run", tiny_model, sample_dataset)
    kill_when(folder, "step 5")
    other = make_run(tmp_path / "other", tiny_model, sample_dataset, learning_rate=2e-2)
    other.work.mkdir()
    folder.checkpoints.rename(other.checkpoints)

    assert run_worker(other) == 1

    *_, last = read_event_log(other.event_log)
    assert last.data.known()["code"] == "resume_mismatch"
    assert not other.adapter.exists()


def kill_when(folder: RunFolder, moment: str) -> None:
    """kill -9 as soon as the event log tells of the moment."""
    process = start_worker(folder)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(_is_moment(event, moment) for event in read_event_log(folder.event_log)):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, f"the run ended before {moment} was seen"


def _is_moment(event: object, moment: str) -> bool:
    kind, step, phase = event.kind, event.step, event.data.known().get("phase")  # type: ignore[attr-defined]
    if moment == "final":
        return bool(kind == "evaluation" and phase == "final")
    return bool(kind == "step" and step == int(moment.split()[1]))


def kill_inside_checkpoint(folder: RunFolder, *, second_file: str) -> None:
    """kill -9 while the second checkpoint's staging folder holds `second_file` and has not been moved into place."""
    process = start_worker(folder)
    deadline = time.monotonic() + 120
    seen_first = False
    while process.poll() is None and time.monotonic() < deadline:
        finished = list(folder.checkpoints.glob("step-*"))
        seen_first = seen_first or bool(finished)
        if seen_first and _is_being_written(folder, second_file):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "no checkpoint was caught in the making"


def _is_being_written(folder: RunFolder, name: str) -> bool:
    # os.walk passes over folders that vanish while it looks, which pathlib's glob does not.
    return any(".partial" in place and name in files for place, _, files in os.walk(folder.checkpoints))
