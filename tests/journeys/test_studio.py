"""A real studio, its real worker and a very small model: from a file to an adapter, through cancels and kills."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from brightrun.cli.follow_job import follow_job, read_stream
from brightrun.cli.studio_client import StudioClient
from brightrun.compute.marked_processes import MARK
from brightrun.contract.job_spec import file_sha256
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.signatures import job_secret
from brightrun.database import attempts
from brightrun.database.database import Database
from tests.runs import SMALL

pytestmark = [pytest.mark.worker, pytest.mark.slow]

MODEL = "tiny-llama"
WEIGHTS = "adapter_model.safetensors"
_SECRET = "master-secret-of-the-journey-0123456789"
_HUB_TOKEN = "hf_token_of_the_journey_0123456789"
_TERMINAL = {"completed", "failed", "cancelled"}
Found = TypeVar("Found")


@dataclass
class Place:
    """A folder with a home in it, a studio that can be killed, and everything that was ever said there."""

    folder: Path
    port: int = 0
    token: str = field(default="", repr=False)
    process: subprocess.Popen[bytes] | None = None
    jobs: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BRIGHTRUN_")}
        own = {"BRIGHTRUN_HOME": str(self.home), "BRIGHTRUN_URL": self.url, "BRIGHTRUN_TOKEN": self.token}
        return {**clean, **own, "TRAINING_WEBHOOK_SECRET": _SECRET, "HF_TOKEN": _HUB_TOKEN}

    def types(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "brightrun.cli", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if arguments[:2] != ("token", "create"):
            with (self.folder / "said.log").open("a", encoding="utf-8") as log:
                log.write(done.stdout + done.stderr)
        return done

    def json(self, *arguments: str | Path) -> Any:
        done = self.types(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def starts(self) -> None:
        """The studio, at the same address as before."""
        log = self.folder / "studio.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "brightrun.cli", "serve", "--port", str(self.port)],
                cwd=self.folder,
                env=self.environment,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

        def address() -> re.Match[str] | None:
            assert self.process is not None
            assert self.process.poll() is None, log.read_text()
            return re.search(r"The studio is at http://127\.0\.0\.1:(\d+)\n", log.read_bytes()[before:].decode())

        self.port = int(until(address)[1])

    def client(self) -> StudioClient:
        return StudioClient(self.url)

    def job(self, job_id: str) -> dict[str, Any]:
        with self.client() as client:
            return client.job(job_id)

    def ended(self, job_id: str, *, seconds: float = 120) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in _TERMINAL else None

        return until(over, seconds=seconds)

    def start_job(self, **changes: Any) -> str:
        """By the command line, on the sample dataset."""
        settings = {**SMALL, **changes}
        given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        started = self.json("job", "start", self.folder / "conversations.json", "--model", MODEL, *given)
        self.jobs.append(started["training_job_id"])
        return str(started["training_job_id"])

    def open_leases(self) -> list[str]:
        database = Database(f"sqlite:///{self.home / 'studio.db'}")
        try:
            with database.reading() as session:
                return [lease.machine_name for lease in attempts.list_open(session)]
        finally:
            database.close()


def until(found: Callable[[], Found | None], *, seconds: float = 60) -> Found:
    """What `found` gives as soon as it is something; for what other processes do in their own time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def processes_of(job_id: str = "") -> list[psutil.Process]:
    """The living processes of a job's machines; of every job of this module's where none is named."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
            if mark.startswith(f"train-{job_id}") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("studio"))
    (place.folder / "conversations.json").write_bytes(sample_dataset.read_bytes())
    place.json("model", "pull", tiny_model, "--name", MODEL)
    place.token = place.json("token", "create", "journey")["token"]
    place.starts()
    yield place
    assert place.process is not None
    place.process.terminate()
    try:
        assert place.process.wait(timeout=30) == 0
    finally:
        place.process.kill()
        place.process.wait()
        for job_id in place.jobs:
            for process in processes_of(job_id):
                process.kill()


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
        for news in follow_job(client, job_id):
            if news.kind == "step" and news.data["step"] >= 2:
                break
            assert news.kind != "job", news.data["message"]
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
        next(news for news in follow_job(client, job_id) if news.data.get("status") == "model_loaded")
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
        next(news for news in watched if news.data.get("status") == "preprocessing")
        began = time.monotonic()
        place.process.send_signal(signal.SIGINT)
        assert place.process.wait(timeout=30) == 0
        assert time.monotonic() - began < 10
        assert processes_of(job_id)

        place.starts()

        assert any(news.kind == "step" and news.data["step"] >= 2 for news in watched), "the same watch goes on"
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
    secrets = [_SECRET, _HUB_TOKEN, place.token]
    for job_id in place.jobs:
        secrets += [job_secret(_SECRET, job_id), job_secret(_SECRET, f"worker:{job_id}")]
    looked_at = [path for path in place.folder.rglob("*") if path.is_file()]
    assert {"studio.log", "said.log", "studio.db", "events.jsonl"} <= {path.name for path in looked_at}
    for path in looked_at:
        data = path.read_bytes()
        assert [secret for secret in secrets if secret.encode() in data] == [], path
