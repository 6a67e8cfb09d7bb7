"""For the tests of compute: a job's spec, a clock to turn by hand, and a small real worker server without training."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from brightrun.compute.base import MachineRequest, machine_name
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.messages import StartRequest

Found = TypeVar("Found")
TOKEN = "job-token-that-nobody-may-read"


class HandClock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def job_spec(job_id: str) -> JobSpec:
    return JobSpec(
        job_id=job_id,
        recipe="balanced",
        hyperparameters=Hyperparameters(),
        model=ModelRef(name="tiny", hub_id=None, revision="0" * 64, path="/models/tiny"),
        dataset=DatasetRef(
            source_name="talks.json",
            source_sha256="1" * 64,
            train_path="data/train.jsonl",
            train_sha256="2" * 64,
            validation_path="data/validation.jsonl",
            validation_sha256="3" * 64,
            split_sha256="4" * 64,
        ),
    )


def machine_request(job_id: str, attempt: int = 1, *, run_folder: Path | None = None) -> MachineRequest:
    return MachineRequest(
        name=machine_name(job_id, attempt),
        job_id=job_id,
        attempt=attempt,
        environment={"TRAINING_WORKER_TOKEN": TOKEN},
        run_folder=run_folder,
    )


def start_request(job_id: str, attempt: int = 1, **more: object) -> StartRequest:
    return StartRequest.model_validate({"spec": job_spec(job_id), "attempt": attempt, **more})


def until(found: Callable[[], Found | None], *, seconds: float = 20.0) -> Found:
    """What `found` gives as soon as it is something; for what other processes do in their own time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := found():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


SMALL_WORKER = """
import argparse, http.server, json, os, signal, subprocess, sys
parser = argparse.ArgumentParser()
for name in ("--root", "--host", "--port", "--port-file", "--job", "--name"):
    parser.add_argument(name)
parser.add_argument("--stubborn", action="store_true")
asked = parser.parse_args()
if asked.stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
job = None  # [job_id, attempt, trainer]

def alive():
    return job is not None and job[2].poll() is None

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def reply(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def status(self, job_id):
        if job is None or job[0] != job_id:
            return self.reply({}, 404)
        self.reply({"job_id": job[0], "attempt": job[1], "fingerprint": "f", "status": "training", "alive": alive()})
    def allowed(self):
        token = os.environ.get("TRAINING_WORKER_TOKEN")
        if self.headers.get("authorization") == "Bearer " + str(token):
            return True
        self.reply({}, 401)
    def do_GET(self):
        if self.path == "/health":
            return self.reply({"device": "none", "memory_available_bytes": 1, "disk_free_bytes": 1, "versions": {},
                               "running_job": job[0] if alive() else None})
        if self.allowed():
            self.status(self.path.split("?")[0].rsplit("/", 1)[1])
    def do_POST(self):
        global job
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if not self.allowed():
            return
        if self.path == "/training/start":
            trainer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
            job = [body["spec"]["job_id"], body["attempt"], trainer]
        elif alive():
            job[2].kill()
            job[2].wait()
        self.status(job[0] if job else "")

server = http.server.ThreadingHTTPServer((asked.host, int(asked.port)), Handler)
if asked.port_file:
    with open(asked.port_file + ".new", "w") as stream:
        stream.write(str(server.server_address[1]))
    os.replace(asked.port_file + ".new", asked.port_file)
server.serve_forever()
"""
