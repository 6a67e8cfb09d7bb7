"""A worker finds a job's base model in its own folder of models, by name and revision, or says what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brightrun.catalogue.folders import read_model_record, write_model_record
from brightrun.contract.events import Event
from brightrun.contract.job_spec import JobSpec, ModelRef, file_sha256
from brightrun.contract.messages import StartFile, StartRequest
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import ModelError
from brightrun.worker.find_model import find_model
from brightrun.worker.server import WorkerServer
from tests.conftest import REPOSITORY
from tests.runs import make_run

pytestmark = pytest.mark.worker
ELSEWHERE = "/studio/models/tiny-llama"  # a folder that only the studio has


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> RunFolder:
    return make_run(tmp_path / "jobs" / "job-1", tiny_model, sample_dataset)


def start_request(folder: RunFolder, **model: str) -> StartRequest:
    """The job as a studio sends it, with another place or revision of its model."""
    spec = JobSpec.load(folder.spec)
    changed = spec.model.model_copy(update={"path": ELSEWHERE, **model})
    folder.spec.unlink()
    files = tuple(
        StartFile(name=name, sha256=file_sha256(folder.root / name), bytes=(folder.root / name).stat().st_size)
        for name in ("data/train.jsonl", "data/validation.jsonl")
    )
    spec = spec.model_copy(update={"job_id": folder.root.name, "model": changed})
    return StartRequest(spec=spec, attempt=1, files=files)


def told(server: WorkerServer, until: Callable[[Event], bool]) -> Event:
    """The first line of the event log that is wanted."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if found := next((event for event in server.status("job-1").events if until(event)), None):
            return found
        time.sleep(0.05)
    raise AssertionError("it was never told")


@pytest.mark.slow
def test_a_model_that_lies_elsewhere_than_in_the_studio_is_found(run: RunFolder, tiny_model: Path) -> None:
    server = WorkerServer(run.root.parent, worker="machine-7", models=tiny_model.parent)
    request = start_request(run)
    try:
        server.start(request)
        loaded = told(server, lambda event: event.kind == "end" or event.status is JobStatus.MODEL_LOADED)
        assert loaded.kind != "end", loaded.message
        spec = JobSpec.load(run.spec)
        assert spec.model.path == str(tiny_model)
        assert spec.fingerprint() == request.spec.fingerprint() == server.status("job-1").fingerprint
        server.start(request)  # the same attempt, as a studio that did not hear the answer asks
    finally:
        server.close()


@pytest.mark.parametrize("with_models", [True, False])
def test_a_model_that_is_not_there_ends_the_job_before_anything_starts(
    run: RunFolder, tmp_path: Path, *, with_models: bool
) -> None:
    empty = tmp_path / "no models"
    server = WorkerServer(run.root.parent, worker="machine-7", models=empty if with_models else None)
    request = start_request(run)
    try:
        server.start(request)
        end = told(server, lambda event: event.kind == "end")
    finally:
        server.close()
    assert (end.status, end.reason) == (JobStatus.FAILED, EndReason.MODEL_UNAVAILABLE)
    assert f"tiny-llama at revision {request.spec.model.revision}" in end.message
    assert (str(empty) in end.message) is with_models
    assert "brightrun model pull tiny-llama" in end.data.known()["hint"]
    assert "--models" in end.data.known()["hint"]
    assert end.data.known()["details"] == {"model": "tiny-llama", "revision": request.spec.model.revision}
    assert not (run.root / "worker.log").exists(), "a training process was started"


def test_another_revision_is_another_model(run: RunFolder, tiny_model: Path) -> None:
    server = WorkerServer(run.root.parent, worker="machine-7", models=tiny_model.parent)
    try:
        server.start(start_request(run, revision="a" * 40))
        end = told(server, lambda event: event.kind == "end")
    finally:
        server.close()
    assert end.reason is EndReason.MODEL_UNAVAILABLE
    assert read_model_record(tiny_model).version in end.message
    assert "a" * 40 in end.message


def test_which_folder_is_taken(tiny_model: Path, tmp_path: Path) -> None:
    """The studio's own place first; then the model of that name, or of that hub id, at that revision."""
    record = read_model_record(tiny_model)
    wanted = ModelRef(name="tiny-llama", hub_id="some/tiny", revision=record.version, path=str(tiny_model))
    assert find_model(wanted, None) == tiny_model
    moved = wanted.model_copy(update={"path": ELSEWHERE})
    models = tmp_path / "models"
    for name, changes in [
        ("another", {"name": "another"}),
        ("newer", {"revision": "b" * 40}),
        ("raw", {"needs_conversion": True}),
        ("renamed", {"name": "renamed", "hub_id": "some/tiny"}),
    ]:
        shutil.copytree(tiny_model, models / name)
        write_model_record(models / name, record.model_copy(update=changes))
    assert find_model(moved, models) == models / "renamed"
    with pytest.raises(ModelError, match="b" * 40) as refused:
        find_model(moved.model_copy(update={"hub_id": None}), models)
    assert refused.value.details["found"] == "b" * 40


def test_the_page_about_it_shows_options_that_exist() -> None:
    page = (REPOSITORY / "docs" / "static-worker.md").read_text(encoding="utf-8")
    shown = re.findall(r"^    .*|brightrun\.worker serve .*", page, flags=re.MULTILINE)
    options = re.findall(r"--[a-z-]+", " ".join(shown))
    command = [sys.executable, "-m", "brightrun.worker", "serve", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {"--models", "--root", "--port"} <= set(options)
    assert [option for option in options if option not in known] == []


def test_a_folder_of_models_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "brightrun.worker", "serve", "--root", str(tmp_path), "--port", "0")
    environment = {**os.environ, "TRAINING_WORKER_TOKEN": "a token"}
    absent = [*command, "--models", str(tmp_path / "absent")]
    done = subprocess.run(absent, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"There is no folder {tmp_path / 'absent'}." in done.stderr
    assert "brightrun model pull" in done.stderr
