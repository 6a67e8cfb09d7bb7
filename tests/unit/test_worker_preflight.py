"""What can be known to fail is found before the model is loaded, with the place and the fix."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

pytest.importorskip("torch")

import psutil
import torch

from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.event_data import MessageData
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.errors import BrightRunError, DatasetError, ModelError, NotEnoughDisk, NotEnoughMemory
from brightrun.runs.flops import make_micro_batch
from brightrun.runs.memory import estimate_memory
from brightrun.templating.batches import ExampleSize
from brightrun.worker.preflight import check_data, check_machine, check_model, package_versions
from tests.runs import make_run

pytestmark = pytest.mark.worker

Memory = namedtuple("Memory", "available")
Disk = namedtuple("Disk", "total used free")
ADAPTER = 1_000_000
STEP = [make_micro_batch([ExampleSize(tokens=1000, trained_tokens=400, answers=2)], packing=True)]


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> RunFolder:
    """A run over a copy of the tiny model, so that a test may damage both."""
    model = tmp_path / "tiny-llama"
    shutil.copytree(tiny_model, model)
    return make_run(tmp_path / "run", model, sample_dataset)


def spec_of(run: RunFolder, **settings: object) -> JobSpec:
    spec = JobSpec.load(run.spec)
    changed = spec.hyperparameters.model_copy(update=settings)
    return spec.model_copy(update={"hyperparameters": changed})


def check(spec: JobSpec, run: RunFolder) -> MessageData:
    entry = entry_of_folder(Path(spec.model.path))
    return check_machine(spec, run.root, entry=entry, adapter_parameters=ADAPTER, micro_batches=STEP)


def test_a_run_as_it_was_made_passes(run: RunFolder) -> None:
    spec = spec_of(run)

    check_data(spec, run.root)
    check_model(spec)
    facts = check(spec, run)

    assert facts.quantization == "none"
    assert (facts.packages or {})["torch"] == torch.__version__
    assert (facts.memory_available_bytes or 0) > 0


@pytest.mark.parametrize("name", ["data/train.jsonl", "data/validation.jsonl"])
def test_prepared_data_that_changed_is_refused(run: RunFolder, name: str) -> None:
    path = run.root / name
    path.write_bytes(path.read_bytes().replace(b"the", b"teh", 1))

    with pytest.raises(DatasetError, match=f"{name} is not the file this run was planned with") as raised:
        check_data(spec_of(run), run.root)

    assert raised.value.details["expected_sha256"] != raised.value.details["found_sha256"]


@pytest.mark.parametrize("name", ["data/train.jsonl", "data/validation.jsonl"])
def test_prepared_data_that_is_missing_is_refused(run: RunFolder, name: str) -> None:
    (run.root / name).unlink()

    with pytest.raises(DatasetError, match=f"{name} is missing"):
        check_data(spec_of(run), run.root)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_damaged_model_folder_is_refused(run: RunFolder, name: str, damage: str) -> None:
    path = Path(spec_of(run).model.path) / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])

    with pytest.raises(ModelError, match=name) as raised:
        check_model(spec_of(run))

    assert "brightrun model pull" in raised.value.hint


def test_too_little_memory_is_said_with_both_figures(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure is the plan's own, at its low end and without the program, which runs already."""
    spec = spec_of(run)
    estimate = estimate_memory(
        entry_of_folder(Path(spec.model.path)),
        spec.hyperparameters,
        adapter_parameters=ADAPTER,
        micro_batches=STEP,
        kind="cpu",
    )
    needed = estimate.low_bytes - estimate.bytes_of("program")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(needed))
    check(spec, run)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(needed - 1))
    with pytest.raises(NotEnoughMemory, match=r"needs at least \d\.\d GB of memory; \d\.\d GB are free") as raised:
        check(spec, run)

    assert raised.value.details == {"needed_bytes": needed, "available_bytes": needed - 1}


def test_what_the_base_is_held_in_is_told(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert check(spec_of(run, quantization="nf4"), run).quantization == "nf4"


def test_room_is_asked_for_three_checkpoints_and_more(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is 12 bytes a parameter; two are kept and a third may be in the making."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**12, 0, 3 * 12 * ADAPTER))

    with pytest.raises(NotEnoughDisk, match="free beside run") as raised:
        check(spec_of(run), run)

    assert raised.value.code == "disk_full"


def test_versions_are_of_the_packages_that_decide_the_numbers() -> None:
    versions = package_versions()

    assert {"brightrun", "torch", "transformers", "trl", "peft"} <= set(versions)
    assert all(versions.values())


def test_every_refusal_says_a_fix(run: RunFolder) -> None:
    (run.root / "data" / "train.jsonl").unlink()

    with pytest.raises(BrightRunError) as raised:
        check_data(spec_of(run), run.root)

    assert raised.value.hint
