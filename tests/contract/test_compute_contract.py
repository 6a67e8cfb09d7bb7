"""One suite for every provider: never two machines of one name, found again by name, ended until gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from brightrun.compute.base import Compute, Machine, MachineRequest, MachineState
from brightrun.compute.local_process import LocalProcess
from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.compute.static_worker import StaticWorker
from brightrun.errors import ComputeRefused, NoCapacity
from tests.compute_world import SMALL_WORKER, TOKEN, HandClock, machine_request, start_request, until


@dataclass
class World:
    """A provider, and how time passes and jobs are started there."""

    compute: Compute
    again: Callable[[], Compute]  # the same provider seen by a studio that was just started
    client: httpx.Client
    turn: Callable[[float], None] = field(default=lambda _seconds: None)

    def running(self, machine: Machine) -> Machine:
        def observe() -> Machine | None:
            self.turn(10)
            seen = self.compute.get(machine.id)
            return seen if seen.state is MachineState.RUNNING else None

        return until(observe)

    def begin(self, machine: Machine, job: MachineRequest) -> None:
        """The job itself is started on the machine, as the studio does."""
        url = f"{self.running(machine).worker_url}/training/start"
        headers = {"authorization": f"Bearer {TOKEN}"}
        content = start_request(job.job_id, job.attempt).model_dump_json()
        assert self.client.post(url, content=content, headers=headers).status_code == 200

    def finish(self, machine_id: str, compute: Compute | None = None) -> None:
        """End it as the reconciler does: again and again until it is gone."""
        asked = compute or self.compute

        def terminated() -> bool:
            asked.terminate(machine_id)
            self.turn(10)
            return asked.get(machine_id).state is MachineState.TERMINATED

        until(terminated)


def _small_worker(tmp_path: Path) -> tuple[str, ...]:
    script = tmp_path / "small_worker.py"
    script.write_text(SMALL_WORKER, encoding="utf-8")
    return (sys.executable, str(script))


def _local_process(tmp_path: Path) -> Iterator[World]:
    clock = HandClock()

    def make() -> LocalProcess:
        command = _small_worker(tmp_path)
        return LocalProcess(tmp_path / "machines", command=command, grace=timedelta(seconds=5), clock=clock)

    compute = make()
    with httpx.Client() as client:
        world = World(compute, make, client, clock.turn)
        yield world
        for machine in compute.list_managed():
            world.finish(machine.id)


def _static_worker(tmp_path: Path) -> Iterator[World]:
    port_file = tmp_path / "port"
    environment = {**os.environ, "TRAINING_WORKER_TOKEN": TOKEN}
    command = [*_small_worker(tmp_path), "--root", str(tmp_path), "--host", "127.0.0.1", "--port", "0"]
    command += ["--port-file", str(port_file)]
    with subprocess.Popen(command, env=environment) as process, httpx.Client() as client:
        until(port_file.exists)
        url = f"http://127.0.0.1:{port_file.read_text(encoding='ascii')}"
        worker = StaticWorker(url, TOKEN)
        made = [worker]

        def again() -> StaticWorker:
            made.append(StaticWorker(url, TOKEN))
            return made[-1]

        yield World(worker, again, client)
        client.post(f"{url}/training/stop/x", headers={"authorization": f"Bearer {TOKEN}"})
        for one in made:
            one.close()
        process.kill()


def _simulated(_tmp_path: Path) -> Iterator[World]:
    clock = HandClock()
    compute = SimulatedCompute(clock, capacity=1)
    with httpx.Client(transport=compute.transport()) as client:
        yield World(compute, lambda: compute, client, clock.turn)


@pytest.fixture(
    params=[_local_process, _static_worker, _simulated], ids=["local_process", "static_worker", "simulated"]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    make: Callable[[Path], Iterator[World]] = request.param
    yield from make(tmp_path)


def test_is_a_compute(world: World) -> None:
    assert isinstance(world.compute, Compute)
    assert world.compute.name in {"local_process", "static_worker", "simulated"}


def test_a_launched_machine_comes_to_run_and_answers(world: World) -> None:
    machine = world.compute.launch(machine_request("job-1"))
    assert machine.name == "train-job-1-1"
    assert machine.state in {MachineState.STARTING, MachineState.RUNNING}
    running = world.running(machine)
    assert (running.id, running.name) == (machine.id, machine.name)
    assert running.worker_url is not None
    assert not running.worker_url.endswith("/")
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert world.client.get(f"{running.worker_url}/health", headers=headers).status_code == 200


def test_launching_again_is_the_same_machine(world: World) -> None:
    first = world.compute.launch(machine_request("job-1"))
    for _ in range(3):
        assert world.compute.launch(machine_request("job-1")).id == first.id
    found = world.compute.find("train-job-1-1")
    assert found is not None
    assert found.id == first.id
    assert [machine.id for machine in world.compute.list_managed()] == [first.id]


def test_two_launches_at_once_are_one_machine(world: World) -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(world.compute.launch(machine_request("job-1")).id)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1


def test_what_never_was_is_not_there(world: World) -> None:
    assert world.compute.find("train-job-1-1") is None
    assert world.compute.find("somebody-elses-machine") is None
    assert world.compute.get("no-such-id").state is MachineState.TERMINATED
    world.compute.terminate("no-such-id")
    assert world.compute.list_managed() == []


def test_a_machine_is_ended_until_it_is_gone_and_may_be_ended_again(world: World) -> None:
    machine = world.compute.launch(machine_request("job-1"))
    world.begin(machine, machine_request("job-1"))
    world.finish(machine.id)
    world.compute.terminate(machine.id)
    assert world.compute.get(machine.id).state is MachineState.TERMINATED
    assert world.compute.find(machine.name) is None
    assert world.compute.list_managed() == []


def test_a_machine_is_ended_before_its_job_began(world: World) -> None:
    machine = world.compute.launch(machine_request("job-1"))
    world.finish(machine.id)
    assert world.compute.list_managed() == []


def test_one_device_takes_one_job_at_a_time(world: World) -> None:
    first = world.compute.launch(machine_request("job-1"))
    with pytest.raises(NoCapacity):
        world.compute.launch(machine_request("job-2"))
    world.begin(first, machine_request("job-1"))
    with pytest.raises(NoCapacity):
        world.compute.launch(machine_request("job-2"))
    assert world.compute.find("train-job-2-1") is None
    world.finish(first.id)
    second = world.compute.launch(machine_request("job-2"))
    assert second.name == "train-job-2-1"
    assert world.compute.get(first.id).state is MachineState.TERMINATED
    assert [machine.name for machine in world.compute.list_managed()] == ["train-job-2-1"]


def test_a_studio_that_was_just_started_finds_the_running_machine_and_can_end_it(world: World) -> None:
    machine = world.compute.launch(machine_request("job-1"))
    world.begin(machine, machine_request("job-1"))
    studio = world.again()
    found = studio.find("train-job-1-1")
    assert found is not None
    assert found.id == machine.id
    assert studio.get(machine.id).state is MachineState.RUNNING
    assert [managed.id for managed in studio.list_managed()] == [machine.id]
    world.finish(machine.id, studio)
    assert studio.list_managed() == []


def test_the_next_attempt_is_another_machine(world: World) -> None:
    first = world.compute.launch(machine_request("job-1", 1))
    world.begin(first, machine_request("job-1", 1))
    world.finish(first.id)
    second = world.compute.launch(machine_request("job-1", 2))
    assert second.id != first.id
    assert world.running(second).name == "train-job-1-2"


def test_a_machine_whose_name_is_not_of_a_job_is_refused(world: World) -> None:
    stranger = MachineRequest(name="web-server", job_id="job-1", attempt=1)
    with pytest.raises(ComputeRefused):
        world.compute.launch(stranger)
    assert world.compute.list_managed() == []


def test_the_jobs_token_is_in_no_repr_and_no_machine(world: World) -> None:
    asked = machine_request("job-1")
    machine = world.running(world.compute.launch(asked))
    shown = f"{asked!r} {machine!r} {world.compute!r} {world.compute.list_managed()!r}"
    with pytest.raises(NoCapacity) as caught:
        world.compute.launch(machine_request("job-2"))
    assert TOKEN not in shown + str(caught.value.as_dict())
