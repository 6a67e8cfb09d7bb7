"""Every ending of an attempt is told: the reason from the closed list, the words, the fix, the exit status."""

from __future__ import annotations

import errno
import resource
import shutil
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from brightrun.contract.events import Event, read_event_log
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import (
    AdapterCheckFailed,
    ContractError,
    DatasetError,
    LossNotFinite,
    MaskDisagreement,
    ModelError,
    NotEnoughDisk,
    NotEnoughMemory,
    RecipeError,
    ResumeMismatch,
    RunFolderError,
    TrainingError,
)
from brightrun.locks import take_lock
from brightrun.worker.attempt import _report_end, reason_for, run_attempt
from brightrun.worker.event_log import EventLog

Memory = namedtuple("Memory", "available")
Disk = namedtuple("Disk", "total used free")


class OutOfMemoryError(RuntimeError):
    """As torch names its own; CUDA's is a subclass of RuntimeError too."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DatasetError("x"), EndReason.DATASET_REJECTED),
        (ModelError("x"), EndReason.MODEL_UNAVAILABLE),
        (NotEnoughDisk("x"), EndReason.DISK_FULL),
        (OSError(errno.ENOSPC, "No space left on device"), EndReason.DISK_FULL),
        (NotEnoughMemory("x"), EndReason.OUT_OF_MEMORY),
        (MemoryError(), EndReason.OUT_OF_MEMORY),
        (OutOfMemoryError("CUDA out of memory."), EndReason.OUT_OF_MEMORY),
        (AdapterCheckFailed("x"), EndReason.ARTIFACT_UNVERIFIED),
        (KeyboardInterrupt(), EndReason.INTERRUPTED),
        (LossNotFinite("x"), EndReason.INTERNAL),
        (TrainingError("x"), EndReason.INTERNAL),
        (MaskDisagreement("x"), EndReason.INTERNAL),
        (ResumeMismatch("x"), EndReason.INTERNAL),
        (RecipeError("x"), EndReason.INTERNAL),
        (OSError(errno.EACCES, "Permission denied"), EndReason.INTERNAL),
        (ValueError("x"), EndReason.INTERNAL),
        (LossNotFinite("can't allocate memory"), EndReason.INTERNAL),
    ],
)
def test_an_error_has_its_word_of_the_closed_list(error: BaseException, reason: EndReason) -> None:
    assert reason_for(error) is reason


@pytest.mark.worker
def test_what_torch_and_safetensors_say_is_understood(tmp_path: Path, small_files_only: None) -> None:
    """Both raise errors of no useful class; torch's are raised by torch here, not written down."""
    torch = pytest.importorskip("torch")
    from safetensors import SafetensorError

    with pytest.raises(RuntimeError) as too_large:
        torch.empty(1 << 50)
    with pytest.raises(RuntimeError) as disk_full:
        torch.save({"moments": torch.zeros(1_000_000)}, str(tmp_path / "optimizer.pt"))

    assert reason_for(too_large.value) is EndReason.OUT_OF_MEMORY
    assert reason_for(disk_full.value) is EndReason.DISK_FULL
    told = "Error while serializing: I/O error: No space left on device (os error 28)"
    assert reason_for(SafetensorError(told)) is EndReason.DISK_FULL
    assert reason_for(SafetensorError("Error while deserializing header")) is EndReason.INTERNAL


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """The system refuses to write beyond 100 kB into any file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_without_a_job_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no job to run"):
        run_attempt(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> RunFolder:
    """A run over a copy of the tiny model, so that a test may damage both."""
    from tests.runs import make_run

    model = tmp_path / "tiny-llama"
    shutil.copytree(tiny_model, model)
    return make_run(tmp_path / "run", model, sample_dataset)


@pytest.fixture
def held_lock(run: RunFolder) -> Iterator[None]:
    lock = take_lock(run.root / ".lock")
    assert lock is not None
    with lock:
        yield


@pytest.mark.worker
@pytest.mark.usefixtures("held_lock")
def test_two_workers_on_one_folder_are_refused(run: RunFolder) -> None:
    with pytest.raises(RunFolderError, match="Another worker is running the job in run"):
        run_attempt(run.root)

    assert not run.event_log.exists()


def ended(run: RunFolder) -> tuple[int, Event]:
    """Exit status and last event of an attempt that fails; a failed attempt delivers nothing."""
    status = run_attempt(run.root)
    *_, last = read_event_log(run.event_log)
    assert (last.kind, last.status) == ("end", JobStatus.FAILED)
    assert not run.adapter.exists()
    assert not run.report.exists()
    return status, last


@pytest.mark.worker
def test_changed_data_ends_as_dataset_rejected(run: RunFolder) -> None:
    train = run.root / "data" / "train.jsonl"
    train.write_bytes(train.read_bytes() + b"\n")

    status, last = ended(run)

    assert (status, last.reason) == (2, EndReason.DATASET_REJECTED)
    assert last.message == "data/train.jsonl is not the file this run was planned with."
    assert last.data.known()["code"] == "invalid_training_file"
    assert last.data.known()["hint"]
    assert last.data.known()["trace"] == ""


@pytest.mark.worker
def test_a_sequence_over_the_maximum_ends_as_dataset_rejected(run: RunFolder) -> None:
    spec = JobSpec.load(run.spec)
    short = spec.hyperparameters.model_copy(update={"max_seq_length": 100})
    spec.model_copy(update={"hyperparameters": short}).save(run.spec)

    status, last = ended(run)

    assert (status, last.reason) == (2, EndReason.DATASET_REJECTED)
    assert "over max_seq_length 100" in (last.message or "")


@pytest.mark.worker
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", "cut"),
        ("chat_template.jinja", "missing"),
        ("model.safetensors", "header"),
        ("config.json", "other kind"),
    ],
)
def test_a_damaged_model_ends_as_model_unavailable(run: RunFolder, name: str, damage: str) -> None:
    path = Path(JobSpec.load(run.spec).model.path) / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        changed = {
            "cut": content[:-1],
            "header": b"\xff" * 64 + content[64:],  # of the right size, so that only loading finds it
            "other kind": content.replace(b'"llama"', b'"lamma"'),
        }
        path.write_bytes(changed[damage])

    status, last = ended(run)

    assert (status, last.reason) == (2, EndReason.MODEL_UNAVAILABLE)
    assert last.data.known()["code"] == "model_unusable"
    assert last.data.known()["hint"]


@pytest.mark.worker
def test_a_base_that_answers_no_number_ends_before_any_step(run: RunFolder) -> None:
    from safetensors.torch import load_file, save_file

    path = Path(JobSpec.load(run.spec).model.path) / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"][3] = float("inf")
    path.unlink()
    save_file(weights, path, metadata={"format": "pt"})

    status, last = ended(run)

    assert (status, last.reason, last.data.known()["code"]) == (1, EndReason.INTERNAL, "loss_not_finite")
    assert "The loss of answer 1 of the validation conversation" in (last.message or "")
    assert "pull the base model again" in last.data.known()["hint"]
    assert not any(event.kind == "step" for event in read_event_log(run.event_log))


@pytest.mark.worker
def test_too_little_memory_ends_as_out_of_memory(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(1000))

    status, last = ended(run)

    assert (status, last.reason) == (1, EndReason.OUT_OF_MEMORY)
    assert last.data.known()["details"]["available_bytes"] == 1000


@pytest.mark.worker
def test_too_little_disk_ends_as_disk_full(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 10**9, 0))

    status, last = ended(run)

    assert (status, last.reason) == (1, EndReason.DISK_FULL)
    assert "This run needs" in (last.message or "")


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    spec_without_data(folder)
    with closing(EventLog(folder.event_log)) as event_log:
        event_log.end(JobStatus.COMPLETED, "Better.")
    before = folder.event_log.read_bytes()

    assert run_attempt(tmp_path) == 0

    assert folder.event_log.read_bytes() == before


def test_a_worker_that_is_ended_while_tidying_up_stays_completed(tmp_path: Path) -> None:
    """A studio ends the machine as soon as it reads "completed"."""
    path = tmp_path / "events.jsonl"
    with closing(EventLog(path)) as event_log:
        event_log.end(JobStatus.COMPLETED, "Better.")
        assert _report_end(event_log, KeyboardInterrupt()) == 0

    assert [event.status for event in read_event_log(path)] == [JobStatus.COMPLETED]


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (ValueError("seven is odd"), "seven is odd", 1),
        (ValueError(), EndReason.INTERNAL.text.words, 1),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "The machine's disk is full.", 1),
        (KeyboardInterrupt(), "The run was interrupted; the same command goes on with it.", 130),
    ],
)
def test_an_unforeseen_error_is_told_with_its_trace(
    tmp_path: Path, error: BaseException, message: str, status: int
) -> None:
    path = tmp_path / "events.jsonl"
    with closing(EventLog(path)) as event_log:
        assert _report_end(event_log, error) == status

    (event,) = read_event_log(path)
    assert event.message == message
    assert event.data.known()["code"] == type(error).__name__
    assert type(error).__name__ in event.data.known()["trace"]
    assert event.data.known()["hint"]


def spec_without_data(folder: RunFolder) -> None:
    digest = "0" * 64
    spec = {
        "job_id": "finished",
        "recipe": "balanced",
        "hyperparameters": {},
        "model": {"name": "none", "revision": "none", "path": "none"},
        "dataset": {
            "source_name": "none",
            "source_sha256": digest,
            "train_path": "none",
            "train_sha256": digest,
            "validation_path": "none",
            "validation_sha256": digest,
            "split_sha256": digest,
        },
    }
    JobSpec.model_validate(spec).save(folder.spec)
