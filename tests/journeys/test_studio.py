"""A real studio, its real worker and a very small model: from a file to an adapter, through cancels and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from brightrun.cli.follow_job import follow_job, read_stream
from brightrun.contract.job_spec import file_sha256
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.signatures import job_secret
from tests.runs import SMALL
from tests.served_studio import HUB_TOKEN, MASTER_SECRET, MODEL, Place, processes_of, until

pytestmark = [pytest.mark.worker, pytest.mark.slow]

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("studio"))
    (place.folder / "conversations.json").write_bytes(sample_dataset.read_bytes())
    place.json("model", "pull", tiny_model, "--name", MODEL)
    place.token = place.json("token", "create", "journey")["token"]
    place.starts()
    yield place
    place.stops()


@dataclass(frozen=True)
class First:
    """The first job, from the file to the adapter."""

    job_id: str
    body: dict[str, Any]
    names: list[str]
    updates: list[dict[str, Any]]
    job: dict[str, Any]
    adapter: Path
    seconds: float


@pytest.fixture(scope="module")
def first(place: Place) -> First:
    """Over HTTP, as a program would that was written from the API's description."""
    began = time.monotonic()
    with httpx.Client(base_url=place.url, timeout=60) as http:
        with (place.folder / "conversations.json").open("rb") as stream:
            uploaded = http.post("/api/training/files", files={"file": ("conversations.json", stream)})
        assert uploaded.status_code == 201, uploaded.text
        body = {"training_file_id": uploaded.json()["id"], "base_model": MODEL, "hyperparameters": SMALL}
        started = http.post("/api/training/start-job", json=body, headers={"idempotency-key": "journey-1"})
        assert started.status_code == 201, started.text
        job_id = started.json()["training_job_id"]
        place.jobs.append(job_id)
        told = []
        with http.stream("GET", f"/api/training/jobs/{job_id}/events/stream") as reply:
            told = [(name, json.loads(data)) for name, data in read_stream(reply.iter_lines())]
        archive = place.folder / "adapter.zip"
        archive.write_bytes(http.get(f"/api/training/jobs/{job_id}/adapter.zip").raise_for_status().content)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(place.folder / "first")
    (adapter,) = (place.folder / "first").iterdir()
    names, updates = [name for name, _ in told], [event for _, event in told[:-1]]
    return First(job_id, body, names, updates, told[-1][1], adapter, time.monotonic() - began)


def test_from_a_file_to_an_adapter_in_under_two_minutes(first: First) -> None:
    assert first.names[-1] == "complete"
    assert first.job["status"] == "completed", first.job["message"]
    steps = [event["step"] for event in first.updates if event["kind"] == "step"]
    assert steps == list(range(1, first.job["total_steps"] + 1))
    states = list(dict.fromkeys(event["status"] for event in first.updates))
    assert states[0] == "queued"
    assert states.index("model_loaded") < states.index("training") < states.index("evaluating")
    assert verify_bundle(first.adapter).job_id == first.job_id
    assert first.seconds < 120


def test_the_adapter_loads_in_plain_peft(first: First, tiny_model: Path) -> None:
    program = (
        "import sys, torch; from peft import PeftModel; from transformers import AutoModelForCausalLM as M\n"
        "base = M.from_pretrained(sys.argv[1]); ids = torch.arange(10, 30)[None]; before = base(ids).logits\n"
        "tuned = PeftModel.from_pretrained(base, sys.argv[2]); after = tuned(ids).logits\n"
        "print(float((after - before).detach().abs().max()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny_model, first.adapter], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1e-3


def test_both_models_say_to_a_person_what_they_said_to_the_worker(place: Place, first: First) -> None:
    told = json.loads((first.adapter / "comparison.json").read_text(encoding="utf-8"))["samples"]
    sample = next(one for one in told if len(one["prompt"]) <= 2)
    system = "".join(message["content"] for message in sample["prompt"] if message["role"] == "system")
    question = {"prompt": sample["prompt"][-1]["content"], "system": system, "max_tokens": sample["tuned"]["tokens"]}
    path = f"/api/training/jobs/{first.job_id}/chat"
    with httpx.Client(base_url=place.url, timeout=120) as http:
        assert http.get(path).json()["possible"] is True
        answers = http.post(path, json=question).raise_for_status().json()
        page = http.get(f"/jobs/{first.job_id}/comparison", headers={"accept": "text/html"})
    assert answers["tuned"]["text"] == sample["tuned"]["text"]
    assert answers["base"]["text"][:20] == sample["base"]["text"][:20]
    assert answers["base"]["text"] != answers["tuned"]["text"]
    assert page.status_code == 200


def test_the_same_key_is_the_same_job(place: Place, first: First) -> None:
    headers = {"idempotency-key": "journey-1"}
    with httpx.Client(base_url=place.url, timeout=60) as http:
        again = http.post("/api/training/start-job", json=first.body, headers=headers)
        other = http.post("/api/training/start-job", json={**first.body, "name": "another"}, headers=headers)
    assert again.json()["training_job_id"] == first.job_id
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_conflict"
    assert [job["id"] for job in place.json("job", "list")["data"]] == [first.job_id]


def test_the_command_line_takes_the_same_adapter_home(place: Place, first: First) -> None:
    told = place.json("job", "download", first.job_id, "--out", "by-hand")
    assert told["job_id"] == first.job_id
    assert file_sha256(place.folder / "by-hand" / WEIGHTS) == file_sha256(first.adapter / WEIGHTS)
    watched = place.types("job", "watch", first.job_id)
    assert watched.returncode == 0
    assert "Completed" in watched.stdout
    refused = place.types("job", "cancel", first.job_id)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")


def test_cancelled_in_the_middle_its_process_is_gone_within_ten_seconds(place: Place) -> None:
    job_id = place.start_job(num_epochs=100)
    with place.client() as client:
        for updates in follow_job(client, job_id):
            if updates.kind == "step" and updates.data["step"] >= 2:
                break
            assert updates.kind != "job", updates.data["message"]
    assert processes_of(job_id)

    began = time.monotonic()
    assert place.json("job", "cancel", job_id)["status"] == "cancelled"
    until(lambda: not processes_of(job_id), seconds=10)

    assert time.monotonic() - began < 10
    until(lambda: not place.open_leases(), seconds=10)
    job = place.job(job_id)
    assert (job["status"], job["reason"], job["can_retry"]) == ("cancelled", "cancelled_by_user", True)
    assert place.types("job", "watch", job_id).returncode == 1


def test_a_studio_that_is_killed_in_the_middle_brings_the_same_bits_home(place: Place, first: First) -> None:
    job_id = place.start_job()
    with place.client() as client:
        next(updates for updates in follow_job(client, job_id) if updates.data.get("status") == "model_loaded")
    assert place.process is not None
    os.kill(place.process.pid, signal.SIGKILL)
    assert place.process.wait() == -signal.SIGKILL
    assert processes_of(job_id), "the worker goes on without the studio"

    place.starts()

    job = place.ended(job_id)
    assert job["status"] == "completed", job["message"]
    assert job["attempt"] == 1
    place.json("job", "download", job_id, "--out", "survivor")
    assert file_sha256(place.folder / "survivor" / WEIGHTS) == file_sha256(first.adapter / WEIGHTS)


def test_ctrl_c_stops_the_studio_although_somebody_watches_and_the_worker_goes_on(place: Place) -> None:
    job_id = place.start_job(num_epochs=100)
    assert place.process is not None
    with place.client() as client:
        watched = follow_job(client, job_id)
        next(updates for updates in watched if updates.data.get("status") == "preprocessing")
        began = time.monotonic()
        place.process.send_signal(signal.SIGINT)
        assert place.process.wait(timeout=30) == 0
        assert time.monotonic() - began < 10
        assert processes_of(job_id)

        place.starts()

        assert any(updates.kind == "step" and updates.data["step"] >= 2 for updates in watched), (
            "the same watch goes on"
        )
    place.json("job", "cancel", job_id)
    until(lambda: not processes_of(job_id), seconds=10)
    log = (place.folder / "studio.log").read_text(encoding="utf-8")
    assert "The studio stopped." in log
    assert "Traceback" not in log
    assert " ERROR " not in log


def test_no_process_is_left_and_no_lease_open(place: Place, first: First) -> None:
    assert until(lambda: not place.open_leases(), seconds=20)
    assert until(lambda: not [process for job_id in place.jobs for process in processes_of(job_id)], seconds=20)
    assert first.job_id in place.jobs


def test_doctor_finds_everything_well(place: Place) -> None:
    told = place.json("doctor")
    assert told["ok"], told
    found = {check["check"]: check for check in told["checks"]}
    assert found["studio"]["outcome"] == "ok"
    assert MODEL in found["models"]["message"]


def test_no_secret_was_said_anywhere(place: Place, first: First) -> None:
    place.types("settings")
    place.types("settings", "--json")
    place.types("token", "list", "--json")
    secrets = [MASTER_SECRET, HUB_TOKEN, place.token]
    for job_id in place.jobs:
        secrets += [job_secret(MASTER_SECRET, job_id), job_secret(MASTER_SECRET, f"worker:{job_id}")]
    looked_at = [path for path in place.folder.rglob("*") if path.is_file()]
    assert {"studio.log", "said.log", "studio.db", "events.jsonl"} <= {path.name for path in looked_at}
    for path in looked_at:
        data = path.read_bytes()
        assert [secret for secret in secrets if secret.encode() in data] == [], path
