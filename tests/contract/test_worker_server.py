"""A worker server with the real training process: what the studio asks over HTTP, and what survives a kill -9."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.messages import (
    ArtifactsReply,
    ErrorReply,
    EventBatch,
    HealthReply,
    StartFile,
    StartRequest,
    StatusReply,
    WebhookReply,
)
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.signatures import job_secret, verify
from brightrun.contract.states import EndReason, JobStatus
from brightrun.worker.job_record import JobRecord
from brightrun.worker.server import UnknownJob, WorkerBusy, WorkerServer
from tests.runs import make_run

pytestmark = pytest.mark.worker
TOKEN = "token-of-this-job"
PATIENCE = 120.0


class Served:
    """A worker server process and a client that has its token."""

    def __init__(self, root: Path, *extra: str) -> None:
        self.root = root
        self._extra = extra
        self.process, self.client = self._start()

    def _start(self) -> tuple[subprocess.Popen[bytes], httpx.Client]:
        told = self.root.with_name(f"{self.root.name}.port")
        told.unlink(missing_ok=True)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "brightrun.worker", "serve", "--root", str(self.root), "--port", "0"),
                *("--port-file", str(told), "--name", "machine-7", *self._extra),
            ],
            env={**os.environ, "TRAINING_WORKER_TOKEN": TOKEN},
        )
        wait_for(told.exists)
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{told.read_text().strip()}",
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=60,
            trust_env=False,
        )
        return process, client

    def kill_and_restart(self) -> None:
        self.process.kill()
        self.process.wait()
        self.client.close()
        self.process, self.client = self._start()

    def start(self, request: StartRequest) -> httpx.Response:
        return self.client.post(
            "/training/start", content=request.model_dump_json(), headers={"content-type": "application/json"}
        )

    def status(self, job_id: str, **query: int) -> StatusReply:
        answer = self.client.get(f"/training/status/{job_id}", params=query)
        assert answer.status_code == 200, answer.text
        return StatusReply.model_validate_json(answer.content)

    def stop(self, job_id: str, *, export: bool = False) -> StatusReply:
        answer = self.client.post(f"/training/stop/{job_id}", json={"export": export})
        assert answer.status_code == 200, answer.text
        return StatusReply.model_validate_json(answer.content)

    def end(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=60)


@contextmanager
def served(root: Path, *extra: str) -> Iterator[Served]:
    root.mkdir(parents=True, exist_ok=True)
    server = Served(root, *extra)
    try:
        yield server
    finally:
        server.end()


class Studio:
    """A real HTTP receiver: keeps the batches, serves files, fails the first requests."""

    def __init__(self, secret: str, files: Path) -> None:
        self.batches: list[EventBatch] = []
        self.failures = 2
        studio = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                verify(secret, dict(self.headers.items()), body, now=datetime.now(UTC))
                studio.failures -= 1
                if studio.failures >= 0:
                    self.send_error(503)
                    return
                studio.batches.append(EventBatch.model_validate_json(body))
                reply = WebhookReply(continue_=True, acknowledged=studio.batches[-1].sequence)
                self._answer(reply.model_dump_json().encode())

            def do_GET(self) -> None:
                self._answer((files / self.path.lstrip("/").split("?")[0]).read_bytes())

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def wait_for(happened: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def request_for(folder: RunFolder, **settings: Any) -> StartRequest:
    spec = JobSpec.load(folder.spec).model_copy(update={"job_id": folder.root.name})
    spec.save(folder.spec)
    files = tuple(
        StartFile(name=name, sha256=file_sha256(folder.root / name), bytes=(folder.root / name).stat().st_size)
        for name in ("data/train.jsonl", "data/validation.jsonl")
    )
    return StartRequest.model_validate({"spec": spec, "attempt": 1, "files": files, **settings})


def trainers(folder: Path) -> list[int]:
    """Processes of ours that live on a run's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "brightrun.worker" in words and str(folder) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    detail = ErrorReply.model_validate_json(answer.content).error
    assert set(json.loads(answer.content)["error"]) == {"message", "type", "param", "code"}
    assert detail.message
    return answer.status_code, detail.type, detail.code


@pytest.mark.slow
def test_a_job_from_start_to_artifacts(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    """Given a prepared dataset at an address, when a job is started, then its event log and its files come home."""
    prepared = make_run(tmp_path / "prepared", tiny_model, sample_dataset)
    secret = job_secret("master", "whole")
    studio = Studio(secret, prepared.root)
    there = request_for(prepared)
    spec = there.spec.model_copy(update={"job_id": "whole"})
    files = [file.model_copy(update={"url": f"{studio.url}/{file.name}"}) for file in there.files]
    audit = prepared.data / "audit.json"
    files.append(
        StartFile(
            name="data/audit.json", sha256=file_sha256(audit), bytes=audit.stat().st_size,
            url=f"{studio.url}/data/audit.json",
        )
    )  # fmt: skip
    request = there.model_copy(
        update={
            "spec": spec, "files": tuple(files), "webhook_url": studio.url, "webhook_secret": SecretStr(secret),
        }
    )  # fmt: skip
    try:
        with served(tmp_path / "jobs") as server:
            assert server.start(request).status_code == 200
            wait_for(lambda: not server.status("whole").alive)

            last = server.status("whole")
            assert last.status is JobStatus.COMPLETED, last.events[-1]
            wait_for(lambda: studio.batches and studio.batches[-1].sequence == last.last_sequence)
            told = [event.sequence for batch in studio.batches for event in batch.events]
            assert told == list(range(1, last.last_sequence + 1))
            assert studio.batches[-1].status is JobStatus.COMPLETED
            assert last.fingerprint == spec.fingerprint()
            _check_artifacts(server, last)
            _check_start_of_a_later_attempt(server, request, last)
            assert (server.root / "whole" / ".worker.json").stat().st_mode & 0o077 == 0
    finally:
        studio.close()


def _check_artifacts(server: Served, last: StatusReply) -> None:
    names = {file.name for file in last.artifacts}
    assert {"adapter/adapter_model.safetensors", "adapter/manifest.json", "comparison.json", "report.html"} <= names
    assert {"events.jsonl", "worker.log"} <= names
    copy = server.root.with_name("copy")
    for file in last.artifacts:
        content = server.client.get(f"/training/artifacts/whole/{file.name}").content
        assert len(content) == file.bytes
        (copy / file.name).parent.mkdir(parents=True, exist_ok=True)
        (copy / file.name).write_bytes(content)
        assert file_sha256(copy / file.name) == file.sha256
    assert verify_bundle(copy / "adapter").job_id == "whole"
    listed = ArtifactsReply.model_validate_json(server.client.get("/training/artifacts/whole").content)
    assert {file.name for file in listed.artifacts} == names
    _check_ranges(server, copy / "adapter" / "adapter_model.safetensors")


def _check_ranges(server: Served, file: Path) -> None:
    content = file.read_bytes()
    size = len(content)
    address = "/training/artifacts/whole/adapter/adapter_model.safetensors"
    for asked, start, end in [
        ("bytes=0-0", 0, 1), ("bytes=5-1000", 5, 1001), (f"bytes={size - 3}-", size - 3, size),
        ("bytes=-7", size - 7, size), (f"bytes=10-{size * 2}", 10, size), (f"bytes=-{size * 2}", 0, size),
    ]:  # fmt: skip
        answer = server.client.get(address, headers={"range": asked})
        assert (answer.status_code, answer.content) == (206, content[start:end]), asked
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer = server.client.get(address, headers={"range": asked})
        assert error_of(answer) == (416, "invalid_request_error", "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{size}"
    for asked in ("bytes=0-1,4-5", "lines=0-1", "bytes=9-5", "bytes=-", "x"):
        answer = server.client.get(address, headers={"range": asked})
        assert (answer.status_code, answer.content) == (200, content), asked


def _check_start_of_a_later_attempt(server: Served, request: StartRequest, last: StatusReply) -> None:
    """A studio that never heard of the end starts again: nothing is trained twice, and all is told anew."""
    answer = server.start(request.model_copy(update={"attempt": 2, "webhook_url": None, "webhook_secret": None}))
    again = StatusReply.model_validate_json(answer.content)
    assert (again.attempt, again.status, again.alive) == (2, JobStatus.COMPLETED, False)
    assert again.last_sequence == last.last_sequence
    assert [file.sha256 for file in again.artifacts][:-2] == [file.sha256 for file in last.artifacts][:-2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's, of transformers 5
def test_a_long_job_survives_its_server_is_stopped_exported_and_resumed(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    folder = make_run(tmp_path / "jobs" / "long", tiny_model, sample_dataset, num_epochs=60, checkpoints=200)
    request = request_for(folder)
    with served(tmp_path / "jobs") as server:
        server.start(request)
        _wait_for_a_checkpoint(server, folder)
        _check_it_answers_while_it_trains(server, request, folder)
        _check_a_killed_server_finds_its_job(server, folder)
        step = _check_stop_and_export(server, folder)
        _check_the_adapter_loads(folder, tiny_model, step)
        server.start(request.model_copy(update={"attempt": 2, "resume": True}))
        _check_the_second_attempt(server, folder, step)
        server.start(request.model_copy(update={"attempt": 3, "resume": True}))
        wait_for(lambda: trainers(folder.root))
    assert trainers(folder.root) == []  # a server that is asked to end leaves no process behind
    assert _last_line(folder)["reason"] == "interrupted"


def _wait_for_a_checkpoint(server: Served, folder: RunFolder) -> None:
    wait_for(lambda: list(folder.checkpoints.glob("step-*")) or not server.status("long").alive)
    assert server.status("long").alive, server.status("long").events[-1]


def _check_it_answers_while_it_trains(server: Served, request: StartRequest, folder: RunFolder) -> None:
    processes = trainers(folder.root)
    assert len(processes) == 1
    assert StatusReply.model_validate_json(server.start(request).content).alive
    assert trainers(folder.root) == processes
    other = request.model_copy(update={"spec": request.spec.model_copy(update={"job_id": "other"})})
    assert error_of(server.start(other)) == (409, "conflict_error", "worker_busy")
    changed = request.spec.model_copy(update={"recipe": "another"})
    assert error_of(server.start(request.model_copy(update={"spec": changed})))[0] == 409
    slowest = 0.0
    for _ in range(40):
        for address in ("/health", "/training/status/long?after=0"):
            began = time.monotonic()
            assert server.client.get(address).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    print(f"slowest answer while training: {slowest * 1000:.0f} ms")
    assert slowest < 5
    health = HealthReply.model_validate_json(server.client.get("/health").content)
    assert health.running_job == "long"
    assert "torch" in health.versions
    first = server.status("long", after=0)
    assert [event.sequence for event in first.events] == list(range(1, first.last_sequence + 1))
    later = server.status("long", after=first.last_sequence - 2)
    assert later.events[:2] == first.events[-2:]
    assert first.artifacts == ()


def _check_a_killed_server_finds_its_job(server: Served, folder: RunFolder) -> None:
    (process,) = trainers(folder.root)
    before = server.status("long").last_sequence
    server.kill_and_restart()
    assert trainers(folder.root) == [process]
    found = server.status("long")
    assert (found.alive, found.attempt) == (True, 1)
    wait_for(lambda: server.status("long").last_sequence > before)
    # What is written while it trains can be read, whole lines or part of one.
    log = server.client.get("/training/artifacts/long/events.jsonl", headers={"range": "bytes=0-99"})
    assert log.content == folder.event_log.read_bytes()[:100]


def _check_stop_and_export(server: Served, folder: RunFolder) -> int:
    began = time.monotonic()
    stopped = server.stop("long", export=True)
    assert time.monotonic() - began < 10
    assert not stopped.alive
    assert [pid for pid in trainers(folder.root) if "export" not in psutil.Process(pid).cmdline()] == []
    assert _last_line(folder)["reason"] == "interrupted"
    assert sum(1 for line in folder.event_log.read_text().splitlines() if json.loads(line)["kind"] == "end") == 1
    listed = ArtifactsReply.model_validate_json(server.client.get("/training/artifacts/long").content)
    assert listed.checkpoint is not None
    for file in listed.checkpoint.files:
        assert file_sha256(folder.root / file.name) == file.sha256
    name = listed.checkpoint.files[0].name
    assert server.client.get(f"/training/artifacts/long/{name}").content == (folder.root / name).read_bytes()
    again = wait_for(lambda: (reply := server.stop("long", export=True)) and not reply.exporting and reply)
    assert again.export_error is None
    assert "adapter/adapter_model.safetensors" in {file.name for file in again.artifacts}
    return listed.checkpoint.step


def _check_the_adapter_loads(folder: RunFolder, model: Path, step: int) -> None:
    """In plain PEFT, without us; and it is the checkpoint's adapter in bf16."""
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    manifest = verify_bundle(folder.adapter)
    assert manifest.adapter_check["verified"] is False
    assert manifest.adapter_check["step"] == step
    assert f"step {step} of " in manifest.adapter_check["sentence"]
    assert not (folder.adapter / "comparison.json").exists()
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


def _check_the_second_attempt(server: Served, folder: RunFolder, step: int) -> None:
    resumed = wait_for(
        lambda: next((e for e in server.status("long").events if e.data.known().get("resumed_step") == step), None)
    )
    assert resumed.attempt == 2
    second = server.status("long")
    assert [event.sequence for event in second.events] == list(range(1, second.last_sequence + 1))
    assert server.status("long", attempt=1).events[-1].kind == "end"
    assert not folder.adapter.exists()  # the partial one is not to be taken for the new attempt's
    wait_for(lambda: any(event.kind == "step" for event in server.status("long").events))
    (process,) = trainers(folder.root)
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: not server.status("long").alive)
    ended = server.status("long")
    assert (ended.events[-1].kind, ended.events[-1].reason) == ("end", EndReason.INTERRUPTED)
    assert "signal 9" in (ended.events[-1].message or "")


def _last_line(folder: RunFolder) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(folder.event_log.read_text().splitlines()[-1])
    return line


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("idle") / "jobs") as server:
        yield server


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"bearer {TOKEN}x", TOKEN])
@pytest.mark.parametrize("address", ["/health", "/training/status/x", "/nowhere", "/openapi.json"])
def test_without_the_token_nothing_is_answered(idle: Served, given: str | None, address: str) -> None:
    headers = {} if given is None else {"authorization": given}
    answer = httpx.get(f"{idle.client.base_url}{address}", headers=headers, trust_env=False)

    assert error_of(answer) == (401, "authentication_error", "invalid_token")


def test_the_token_is_asked_for_before_the_body_is_read(idle: Served) -> None:
    answer = httpx.post(f"{idle.client.base_url}/training/start", content=b"{not json", trust_env=False)

    assert answer.status_code == 401


@pytest.mark.parametrize("address", ["status/nobody", "artifacts/nobody", "artifacts/nobody/adapter/x", "status/.."])
def test_an_unknown_job_is_not_found(idle: Served, address: str) -> None:
    assert error_of(idle.client.get(f"/training/{address}"))[:2] == (404, "not_found_error")
    assert error_of(idle.client.post("/training/stop/nobody"))[:2] == (404, "not_found_error")


@pytest.mark.parametrize(
    ("body", "param"),
    [(b"{not json", None), (b"{}", "spec"), (b'{"spec": {}, "attempt": 0}', "spec.job_id"), (b"[]", None)],
)
def test_a_malformed_start_is_refused(idle: Served, body: bytes, param: str | None) -> None:
    answer = idle.client.post("/training/start", content=body, headers={"content-type": "application/json"})

    assert error_of(answer) == (422, "invalid_request_error", "malformed_message")
    if param is not None:
        assert answer.json()["error"]["param"] == param


def test_a_negative_line_and_a_huge_body_are_refused(idle: Served) -> None:
    assert error_of(idle.client.get("/training/status/x?after=-1"))[0] == 422
    assert error_of(idle.client.post("/training/start", content=b" " * (9 << 20)))[0] == 413
    assert error_of(idle.client.get("/training/start"))[0] == 405


def test_health_of_an_idle_worker(idle: Served) -> None:
    health = HealthReply.model_validate_json(idle.client.get("/health").content)

    assert health.running_job is None
    assert health.disk_free_bytes > 0
    assert health.memory_available_bytes > 0


def test_without_a_token_the_server_does_not_start(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRAINING_WORKER_TOKEN"}
    ended = subprocess.run(
        [sys.executable, "-m", "brightrun.worker", "serve", "--root", str(tmp_path), "--port", "0"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert "TRAINING_WORKER_TOKEN" in ended.stderr


def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "brightrun.worker", "serve", "--root", str(tmp_path), "--port", port],
            env={**os.environ, "TRAINING_WORKER_TOKEN": TOKEN}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert ended.returncode == 2
    assert "cannot be had" in ended.stderr


def test_the_server_process_never_imports_torch() -> None:
    words = "import sys, brightrun.worker.serve_app; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout.strip() == "[]"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WorkerServer]:
    made = WorkerServer(tmp_path / "jobs", worker="machine-7", grace=timedelta(seconds=2))
    made.find_again()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"deadline": datetime(2020, 1, 1, tzinfo=UTC)}, EndReason.TIME_LIMIT),
        (
            {
                "max_cost_usd": Decimal("1.5"),
                "price_usd_per_hour": Decimal(2),
                "paid_since": datetime.now(UTC) - timedelta(minutes=46),
            },
            EndReason.BUDGET_REACHED,
        ),
    ],
)
def test_time_and_money_end_a_run(
    server: WorkerServer,
    tmp_path: Path,
    tiny_model: Path,
    sample_dataset: Path,
    limits: dict[str, Any],
    reason: EndReason,
) -> None:
    folder = make_run(tmp_path / "jobs" / "limited", tiny_model, sample_dataset)

    server.start(request_for(folder, **limits))
    wait_for(lambda: not server.status("limited").alive)

    (end,) = [event for event in server.status("limited").events if event.kind == "end"]
    assert (end.status, end.reason) == (JobStatus.FAILED, reason)
    assert trainers(folder.root) == []


def test_a_file_that_is_not_what_was_announced_starts_nothing(
    server: WorkerServer, tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    folder = make_run(tmp_path / "jobs" / "wrong", tiny_model, sample_dataset)
    request = request_for(folder)
    (folder.data / "train.jsonl").write_bytes(b"{}\n")

    with pytest.raises(Exception, match=r"data/train\.jsonl"):
        server.start(request)

    assert not folder.event_log.exists()
    with pytest.raises(UnknownJob):
        server.status("wrong")


def test_a_file_that_cannot_be_fetched_ends_the_job_with_words(
    server: WorkerServer, tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    prepared = make_run(tmp_path / "prepared", tiny_model, sample_dataset)
    request = request_for(prepared)
    (prepared.data / "train.jsonl").write_bytes(b"other bytes")
    studio = Studio("whsec_YQ==", prepared.root)
    files = [file.model_copy(update={"url": f"{studio.url}/{file.name}?secret=s"}) for file in request.files]
    try:
        server.start(request.model_copy(update={"files": tuple(files)}))
        wait_for(lambda: not server.status("prepared").alive)
    finally:
        studio.close()

    end = server.status("prepared").events[-1]
    assert (end.kind, end.status, end.data.known()["code"]) == ("end", JobStatus.FAILED, "file_mismatch")
    assert "data/train.jsonl" in (end.message or "")
    assert "secret=s" not in (tmp_path / "jobs" / "prepared" / "events.jsonl").read_text()


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "adapter/../../secret.txt", "..%2fsecret.txt", "/etc/passwd", ".worker.json", "job.json",
     "data/train.jsonl", "adapter", "", "events.jsonl/", "./events.jsonl", "work/checkpoints/step-000001/../../x",
     "adapter\\x", "link"],
)  # fmt: skip
def test_only_named_files_can_be_fetched(tmp_path: Path, tiny_model: Path, sample_dataset: Path, name: str) -> None:
    folder = make_run(tmp_path / "jobs" / "files", tiny_model, sample_dataset)
    (tmp_path / "jobs" / "secret.txt").write_text("secret")
    (folder.root / "link").symlink_to(tmp_path / "jobs" / "secret.txt")
    _record(folder)
    server = WorkerServer(tmp_path / "jobs", worker="machine-7")
    server.find_again()
    try:
        assert server.artifact("files", "events.jsonl").exists()
        with pytest.raises(UnknownJob):
            server.artifact("files", name)
    finally:
        server.close()


def test_over_http_a_path_that_climbs_finds_nothing(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    folder = make_run(tmp_path / "jobs" / "files", tiny_model, sample_dataset)
    _record(folder)
    with served(tmp_path / "jobs") as server:
        for raw in ("../.worker.json", "..%2F..%2Fetc%2Fpasswd", "%2e%2e/%2e%2e/x", "%00", ".worker.json"):
            assert _raw_get(server, f"/training/artifacts/files/{raw}") == 404, raw
        assert _raw_get(server, "/training/artifacts/files/events.jsonl") == 200


def _raw_get(server: Served, path: str) -> int:
    """A request line as it is, since clients tidy paths up."""
    url = server.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        words = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
        connection.sendall(words.encode())
        with connection.makefile("rb") as stream:
            return int(stream.readline().split()[1])


def _record(folder: RunFolder) -> None:
    """A job whose server died before its process was launched."""
    request_for(folder)
    record = {"job_id": folder.root.name, "spans": [{"attempt": 1, "begins_after": 0}], "started_at": datetime.now(UTC)}
    JobRecord.model_validate(record).save(folder.root)


def test_a_job_whose_process_died_unwatched_is_told_to_be_over_once(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    folder = make_run(tmp_path / "jobs" / "dead", tiny_model, sample_dataset)
    _record(folder)
    for _ in range(2):
        server = WorkerServer(tmp_path / "jobs", worker="machine-7")
        server.find_again()
        status = server.status("dead")
        server.close()
        assert [(event.kind, event.reason) for event in status.events] == [("end", EndReason.INTERRUPTED)]
        assert not status.alive


def test_two_servers_never_have_one_job(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    folder = make_run(tmp_path / "jobs" / "one", tiny_model, sample_dataset)
    request = request_for(folder)
    _record(folder)
    first, second = (WorkerServer(tmp_path / "jobs", worker=name) for name in ("a", "b"))
    first.find_again()
    second.find_again()
    try:
        assert first.status("one").job_id == "one"
        with pytest.raises(UnknownJob):
            second.status("one")
        with pytest.raises(WorkerBusy, match="Another worker server"):
            second.start(request.model_copy(update={"attempt": 2}))
    finally:
        first.close()
        second.close()


def test_a_server_for_one_job_takes_no_other(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    folder = make_run(tmp_path / "jobs" / "mine", tiny_model, sample_dataset)
    shutil.copytree(folder.root, tmp_path / "jobs" / "yours")
    _record(RunFolder(tmp_path / "jobs" / "yours"))
    server = WorkerServer(tmp_path / "jobs", worker="machine-7", only="mine")
    server.find_again()
    try:
        with pytest.raises(UnknownJob):
            server.status("yours")
        with pytest.raises(WorkerBusy):
            server.start(request_for(RunFolder(tmp_path / "jobs" / "yours")))
    finally:
        server.close()


def test_an_export_without_a_checkpoint_says_so(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    folder = make_run(tmp_path / "run", tiny_model, sample_dataset)
    ended = subprocess.run(
        [sys.executable, "-m", "brightrun.worker", "export", str(folder.root)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert "no whole checkpoint" in ended.stderr
    assert not folder.adapter.exists()
