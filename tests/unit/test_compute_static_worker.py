"""A worker that is lent: busy, silent, stopped, overtaken, or something else altogether."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from brightrun.compute.base import MachineState
from brightrun.compute.simulated.faults import FaultPlan
from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.compute.simulated.script import Pace
from brightrun.compute.static_worker import StaticWorker
from brightrun.errors import ComputeError, ComputeRefused, NoCapacity
from tests.compute_world import TOKEN, HandClock, machine_request, start_request

URL = "http://m1.simulated.invalid"


class Given:
    """A worker server that runs already (on a simulated machine) and a studio that may use it."""

    def __init__(self, faults: FaultPlan | None = None) -> None:
        self.clock = HandClock()
        self.provider = SimulatedCompute(self.clock, lambda _request: faults or FaultPlan(), pace=Pace(boot=0))
        self.provider.launch(machine_request("the-machine-itself"))
        self.client = httpx.Client(
            base_url=URL, transport=self.provider.transport(), headers={"authorization": f"Bearer {TOKEN}"}
        )
        self.made: list[StaticWorker] = []
        self.compute = self.make()

    def make(self, token: str = TOKEN) -> StaticWorker:
        self.made.append(StaticWorker(URL, token, transport=self.provider.transport(), clock=self.clock))
        return self.made[-1]

    def begin(self, job: str, attempt: int = 1) -> None:
        content = start_request(job, attempt).model_dump_json()
        self.client.post("/training/start", content=content).raise_for_status()

    def close(self) -> None:
        self.client.close()
        for one in self.made:
            one.close()


@pytest.fixture
def given() -> Iterator[Given]:
    made = Given()
    yield made
    made.close()


def test_a_worker_that_runs_another_job_is_refused(given: Given) -> None:
    given.begin("somebody-elses")
    with pytest.raises(NoCapacity, match="somebody-elses"):
        given.compute.launch(machine_request("job-1"))


def test_a_worker_is_kept_for_a_job_that_has_not_begun_but_not_for_ever(given: Given) -> None:
    first = given.compute.launch(machine_request("job-1"))
    given.clock.turn(599)
    with pytest.raises(NoCapacity, match="kept for"):
        given.compute.launch(machine_request("job-2"))
    given.clock.turn(1)
    assert given.compute.launch(machine_request("job-2")).name == "train-job-2-1"
    given.begin("job-2")
    assert given.compute.get(first.id).state is MachineState.TERMINATED


def test_the_end_stops_the_job_and_never_the_worker(given: Given) -> None:
    machine = given.compute.launch(machine_request("job-1"))
    given.begin("job-1")
    given.clock.turn(60)
    given.compute.terminate(machine.id)
    assert given.compute.get(machine.id).state is MachineState.TERMINATED
    assert given.client.get("/health").json()["running_job"] is None
    last = given.client.get("/training/status/job-1").json()["events"][-1]
    assert (last["kind"], last["reason"]) == ("end", "interrupted")


def test_a_job_that_has_ended_keeps_its_machine_until_it_is_given_back(given: Given) -> None:
    """Its events and files are still to be fetched from the worker."""
    machine = given.compute.launch(machine_request("job-1"))
    given.begin("job-1")
    given.clock.turn(3600)
    seen = given.compute.get(machine.id)
    assert (seen.state, seen.worker_url) == (MachineState.RUNNING, URL)
    assert given.make().get(machine.id).state is MachineState.RUNNING
    given.compute.terminate(machine.id)
    assert given.compute.get(machine.id).state is MachineState.TERMINATED


def test_after_a_restart_the_end_is_asked_again_and_the_machine_is_gone(given: Given) -> None:
    machine = given.compute.launch(machine_request("job-1"))
    given.compute.terminate(machine.id)
    studio = given.make()
    studio.terminate(machine.id)
    assert studio.get(machine.id).state is MachineState.TERMINATED


def test_a_silent_worker_is_unknown_never_gone() -> None:
    given = Given(FaultPlan(silent_from_step=2, silent_for=timedelta(minutes=5)))
    machine = given.compute.launch(machine_request("job-1"))
    given.begin("job-1")
    given.clock.turn(60)
    assert given.compute.get(machine.id).state is MachineState.UNKNOWN
    found = given.compute.find(machine.name)
    assert found is not None
    assert found.state is MachineState.UNKNOWN
    with pytest.raises(ComputeError, match="does not answer"):
        given.make().find(machine.name)
    with pytest.raises(ComputeError):
        given.compute.terminate(machine.id)
    given.clock.turn(300)
    assert given.compute.get(machine.id).state is MachineState.RUNNING
    given.close()


def test_a_wrong_token_is_refused_with_the_key_to_set_and_without_the_token(given: Given) -> None:
    stranger = given.make("not-the-token-at-all")
    with pytest.raises(ComputeRefused) as caught:
        stranger.launch(machine_request("job-1"))
    assert "TRAINING_WORKER_TOKEN" in caught.value.hint
    assert "not-the-token-at-all" not in str(caught.value.as_dict()) + repr(stranger)


def _answering(status: int, body: str) -> StaticWorker:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, text=body))
    return StaticWorker(URL, TOKEN, transport=transport)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "<html>a hotel's welcome page</html>", ComputeError),
        (200, "{}", ComputeError),
        (500, "", ComputeError),
        (502, "bad gateway", ComputeError),
        (302, "", ComputeError),
        (404, "", ComputeRefused),
        (403, "", ComputeRefused),
    ],
)
def test_what_is_no_worker_is_told_and_nothing_is_launched(status: int, body: str, error: type[ComputeError]) -> None:
    compute = _answering(status, body)
    with pytest.raises(error) as caught:
        compute.launch(machine_request("job-1"))
    assert type(caught.value) is error
    compute.close()


def test_an_answer_from_a_later_attempt_means_this_one_is_over() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            health = {"device": "d", "memory_available_bytes": 1, "disk_free_bytes": 1, "versions": {}}
            return httpx.Response(200, json={**health, "running_job": "job-1"})
        status = {"job_id": "job-1", "attempt": 2, "fingerprint": "f", "status": "training", "alive": True}
        return httpx.Response(200, json=status)

    compute = StaticWorker(URL, TOKEN, transport=httpx.MockTransport(answer))
    assert compute.get("train-job-1-1").state is MachineState.TERMINATED
    assert compute.get("train-job-1-2").state is MachineState.RUNNING
    assert [machine.name for machine in compute.list_managed()] == ["train-job-1-2"]
    compute.close()
