"""What can go wrong with processes: a reused number, a crash at the worst moment, a stubborn or dying server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from brightrun.compute.base import Machine, MachineState
from brightrun.compute.local_process import LocalProcess
from brightrun.compute.tagged_processes import TAG, _carries, tagged, worker_environment
from brightrun.errors import ComputeError, ComputeRefused
from tests.compute_world import SMALL_WORKER, TOKEN, HandClock, machine_request, start_request, until

NAME = "train-job-1-1"


class Local:
    """A provider with the small worker, its clock, and what its folder holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.script = folder / "small_worker.py"
        self.script.write_text(SMALL_WORKER, encoding="utf-8")
        self.compute = self.make()

    def make(self, *options: str, devices: int = 1) -> LocalProcess:
        command = (sys.executable, str(self.script), *options)
        return LocalProcess(self.folder / "machines", command=command, devices=devices, clock=self.clock)

    def record(self, **change: object) -> dict[str, object]:
        path = self.folder / "machines" / f"{NAME}.json"
        content = {**json.loads(path.read_text(encoding="utf-8")), **change}
        path.write_text(json.dumps(content), encoding="utf-8")
        return content

    def running(self) -> Machine:
        def observe() -> Machine | None:
            machine = self.compute.find(NAME)
            return machine if machine and machine.state is MachineState.RUNNING else None

        return until(observe)

    def begin(self, machine: Machine) -> list[psutil.Process]:
        """Start the job; the server and its training process."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        content = start_request("job-1").model_dump_json()
        httpx.post(f"{machine.worker_url}/training/start", content=content, headers=headers).raise_for_status()
        processes = tagged(machine.id)
        assert len(processes) == 2
        return processes


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(tmp_path)
    yield made
    for record in (tmp_path / "machines").glob("*.json"):
        for process in tagged(json.loads(record.read_text(encoding="utf-8"))["id"]):
            process.kill()


def test_a_reused_number_is_not_taken_for_one_of_them_and_its_process_is_left_alone(local: Local) -> None:
    machine = local.compute.launch(machine_request("job-1"))
    managed = tagged(machine.id)[0]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        local.record(pid=stranger.pid)
        managed.kill()
        psutil.wait_procs([managed], timeout=5)
        local.compute.terminate(machine.id)
        assert local.compute.get(machine.id).state is MachineState.TERMINATED
        assert stranger.poll() is None
        stranger.kill()


def test_a_crash_between_start_and_knowledge_is_repaired_by_the_tag(local: Local) -> None:
    """The studio died after the process was started and before its number was written down."""
    machine = local.compute.launch(machine_request("job-1"))
    before = tagged(machine.id)
    local.record(pid=None, port=None)
    again = local.make().launch(machine_request("job-1"))
    assert again.id == machine.id
    assert [process.pid for process in tagged(machine.id)] == [process.pid for process in before]
    assert local.record()["pid"] == before[0].pid


def test_a_crash_between_intent_and_start_leaves_nothing_in_the_way(local: Local) -> None:
    machine = local.compute.launch(machine_request("job-1"))
    record = local.record()
    local.compute.terminate(machine.id)
    until(lambda: local.compute.get(machine.id).state is MachineState.TERMINATED)
    path = local.folder / "machines" / f"{NAME}.json"
    path.write_text(json.dumps({**record, "pid": None, "port": None}), encoding="utf-8")
    assert local.compute.find(NAME) is None
    assert local.compute.launch(machine_request("job-1")).id != machine.id


def test_a_studio_that_is_gone_leaves_its_machine_running_for_the_next(local: Local) -> None:
    program = f"""
import os, sys
from pathlib import Path
from brightrun.compute.local_process import LocalProcess
from tests.compute_world import machine_request
command = ({sys.executable!r}, {str(local.script)!r})
compute = LocalProcess(Path({str(local.folder / "machines")!r}), command=command)
print(compute.launch(machine_request("job-1")).id, flush=True)
os._exit(9)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60, cwd=root
    )
    assert done.returncode == 9
    assert local.running().id == done.stdout.strip()


def test_a_machine_dies_with_its_server_and_nothing_is_left(local: Local) -> None:
    local.compute.launch(machine_request("job-1"))
    machine = local.running()
    server, trainer = local.begin(machine)
    server.send_signal(signal.SIGKILL)
    until(lambda: local.compute.get(machine.id).state is MachineState.TERMINATED)
    assert not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE
    assert tagged(machine.id) == []


def test_a_server_that_ends_is_no_zombie(local: Local) -> None:
    machine = local.compute.launch(machine_request("job-1"))
    pid = tagged(machine.id)[0].pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid))
    assert local.compute.list_managed() == []


def test_only_the_server_is_asked_to_end_and_its_training_left_to_it(local: Local) -> None:
    local.compute.launch(machine_request("job-1"))
    machine = local.running()
    server, trainer = local.begin(machine)
    local.compute.terminate(machine.id)
    until(lambda: server not in tagged(machine.id))
    assert tagged(machine.id) == [trainer], "the provider does not signal the training process"
    local.compute.terminate(machine.id)
    assert tagged(machine.id) == [], "what outlives its server is killed"


def test_a_server_that_does_not_listen_is_killed_after_the_grace(local: Local) -> None:
    stubborn = local.make("--stubborn")
    stubborn.launch(machine_request("job-1"))
    machine = local.running()
    local.begin(machine)
    stubborn.terminate(machine.id)
    local.clock.turn(4)
    stubborn.terminate(machine.id)
    assert stubborn.get(machine.id).state is MachineState.RUNNING
    assert "asked to end" in stubborn.get(machine.id).detail
    local.clock.turn(1)
    stubborn.terminate(machine.id)
    until(lambda: stubborn.get(machine.id).state is MachineState.TERMINATED)
    assert tagged(machine.id) == []


def test_a_server_that_never_answers_is_starting_and_then_unknown(local: Local) -> None:
    mute = LocalProcess(
        local.folder / "machines",
        command=(sys.executable, "-c", "import time; time.sleep(60)"),
        patience=timedelta(minutes=2),
        clock=local.clock,
    )
    machine = mute.launch(machine_request("job-1"))
    assert machine.state is MachineState.STARTING
    assert machine.worker_url is None
    local.clock.turn(119)
    assert mute.get(machine.id).state is MachineState.STARTING
    local.clock.turn(1)
    assert mute.get(machine.id).state is MachineState.UNKNOWN


def test_a_server_that_falls_over_at_once_is_gone_and_its_last_words_are_kept(local: Local) -> None:
    broken = LocalProcess(local.folder / "machines", command=(sys.executable, "-c", "raise SystemExit('no GPU here')"))
    machine = broken.launch(machine_request("job-1"))
    until(lambda: broken.get(machine.id).state is MachineState.TERMINATED)
    log = local.folder / "machines" / f"{NAME}.log"
    assert "no GPU here" in log.read_text(encoding="utf-8")


def test_a_program_that_is_not_there_is_refused_and_leaves_no_record(local: Local) -> None:
    absent = LocalProcess(local.folder / "machines", command=("/no/such/program",))
    with pytest.raises(ComputeRefused, match="cannot be started"):
        absent.launch(machine_request("job-1"))
    assert list((local.folder / "machines").glob("*.json")) == []
    assert absent.list_managed() == []


def test_the_worker_gets_its_own_token_and_no_secret_of_the_studio(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ["TRAINING_WEBHOOK_SECRET", "HF_TOKEN", "RUNPOD_API_KEY", "DATABASE_URL", "BRIGHTRUN_HOME", "HTTPS_PROXY"]
    for key in secrets:
        monkeypatch.setenv(key, "a secret of the studio")
    machine = local.compute.launch(machine_request("job-1"))
    given = tagged(machine.id)[0].environ()
    assert given["TRAINING_WORKER_TOKEN"] == TOKEN
    assert not set(secrets) & set(given)
    assert "a secret of the studio" not in given.values()


def test_what_is_written_down_holds_no_token(local: Local) -> None:
    local.compute.launch(machine_request("job-1"))
    local.running()
    for path in (local.folder / "machines").rglob("*"):
        if path.is_file():
            assert TOKEN not in path.read_text(encoding="utf-8", errors="replace")


def test_the_environment_is_cut_down_to_what_a_worker_needs() -> None:
    given = {"PATH": "/bin", "LC_ALL": "C", "CUDA_VISIBLE_DEVICES": "0", "AWS_SECRET_ACCESS_KEY": "s", TAG: "old"}
    kept = worker_environment(given, {"TRAINING_WORKER_TOKEN": "t"}, "new")
    assert kept == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "CUDA_VISIBLE_DEVICES": "0",
        "TRAINING_WORKER_TOKEN": "t",
        TAG: "new",
    }


def test_two_devices_take_two_jobs(local: Local) -> None:
    two = local.make(devices=2)
    names = {two.launch(machine_request(job)).name for job in ("job-1", "job-2")}
    assert {machine.name for machine in two.list_managed()} == names


def test_a_run_folder_must_be_named_as_its_job(local: Local, tmp_path: Path) -> None:
    with pytest.raises(ComputeRefused, match="not named"):
        local.compute.launch(machine_request("job-1", run_folder=tmp_path / "another"))


def test_a_damaged_record_is_an_error_and_never_a_second_machine(local: Local) -> None:
    local.compute.launch(machine_request("job-1"))
    path = local.folder / "machines" / f"{NAME}.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:20], encoding="utf-8")
    with pytest.raises(ComputeError, match="not the record"):
        local.compute.launch(machine_request("job-1"))
    path.write_text(whole, encoding="utf-8")


@pytest.mark.worker
def test_the_real_worker_server_comes_up_for_its_job(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    compute = LocalProcess(tmp_path / "machines")
    machine = compute.launch(machine_request("job-1", run_folder=tmp_path / "runs" / "job-1"))
    try:
        running = until(lambda: _running(compute, machine.id), seconds=60)
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=running.worker_url or "", headers=headers) as client:
            health = client.get("/health")
            assert health.json()["protocol"] == "brightrun-worker-1"
            assert client.get("/training/status/job-1").status_code == 404
            other = start_request("job-2").model_dump(mode="json")
            assert client.post("/training/start", json=other).status_code == 409
        compute.terminate(machine.id)
        until(lambda: compute.get(machine.id).state is MachineState.TERMINATED)
    finally:
        for process in tagged(machine.id):
            process.kill()


def _running(compute: LocalProcess, machine_id: str) -> Machine | None:
    machine = compute.get(machine_id)
    assert machine.state is not MachineState.TERMINATED
    return machine if machine.state is MachineState.RUNNING else None


class AmidExec(psutil.Process):
    """This process as /proc shows one whose program is just being replaced: no environment, for some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def environ(self) -> dict[str, str]:
        self.looks -= 1
        return {} if self.looks >= 0 else {TAG: NAME}


def test_a_process_amid_an_exec_is_not_taken_for_somebody_elses() -> None:
    assert _carries(AmidExec(looks=3), NAME)
    assert not _carries(AmidExec(looks=3), "train-job-2-1")
    assert not _carries(AmidExec(looks=10_000), NAME)  # it has none, and is asked no longer
