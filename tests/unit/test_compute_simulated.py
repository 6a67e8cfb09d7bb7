"""Simulated machines do what their script says, by the clock, and bill for it to the second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.compute.base import MachineRequest, MachineState, machine_name, parse_machine_name
from brightrun.compute.simulated.faults import FaultPlan, seeded_faults
from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.contract.events import Event, parse_event
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.messages import ArtifactsReply, StatusReply
from brightrun.contract.states import EndReason, JobStatus
from brightrun.errors import ComputeError, ComputeRefused, NoCapacity
from tests.compute_world import TOKEN, HandClock, machine_request, start_request

BOOT, LOAD, STEP = 30, 20, 10  # seconds, of Pace


class Stage:
    """A provider, its clock, and a client for its machines."""

    def __init__(self, *scripts: FaultPlan, shared_disk: bool = True) -> None:
        self.clock = HandClock()
        fates = iter(scripts)
        fate: dict[str, FaultPlan] = {}

        def script(asked: MachineRequest) -> FaultPlan:
            if asked.name not in fate:
                fate[asked.name] = next(fates, FaultPlan())
            return fate[asked.name]

        self.compute = SimulatedCompute(self.clock, script, shared_disk=shared_disk)
        headers = {"authorization": f"Bearer {TOKEN}"}
        self.client = httpx.Client(transport=self.compute.transport(), headers=headers)

    def begin(self, job: str = "job-1", attempt: int = 1, **more: object) -> str:
        """Launch, wait until it runs, start the job; the worker's address."""
        machine = self.compute.launch(machine_request(job, attempt))
        self.clock.turn(BOOT)
        url = self.compute.get(machine.id).worker_url
        assert url is not None
        content = start_request(job, attempt, **more).model_dump_json()
        self.client.post(f"{url}/training/start", content=content).raise_for_status()
        return url

    def status(self, url: str, job: str = "job-1", after: int = 0) -> StatusReply:
        reply = self.client.get(f"{url}/training/status/{job}", params={"after": after})
        return StatusReply.model_validate_json(reply.raise_for_status().content)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.client.close()


def _kinds(events: tuple[Event, ...]) -> Counter[str]:
    return Counter(event.kind for event in events)


def test_a_run_is_told_by_the_clock_and_completes(stage: Stage) -> None:
    url = stage.begin()
    assert stage.status(url).status is JobStatus.PREPROCESSING
    stage.clock.turn(LOAD + 3 * STEP)
    halfway = stage.status(url)
    assert halfway.status is JobStatus.TRAINING
    assert max(event.step or 0 for event in halfway.events) == 3
    assert halfway.alive
    assert halfway.artifacts == ()
    stage.clock.turn(3600)
    whole = stage.status(url)
    assert whole.status is JobStatus.COMPLETED
    assert not whole.alive
    assert [event.sequence for event in whole.events] == list(range(1, whole.last_sequence + 1))
    assert _kinds(whole.events) == {
        "status": 5, "evaluation": 5, "step": 12, "checkpoint": 3, "artifact": 4, "end": 1
    }  # fmt: skip
    assert whole.events[: len(halfway.events)] == halfway.events
    assert stage.status(url, after=20).events == whole.events[20:]
    stamps = [event.timestamp for event in whole.events]
    assert stamps == sorted(stamps)


def test_what_is_delivered_is_a_whole_bundle(stage: Stage, tmp_path: Path) -> None:
    url = stage.begin()
    stage.clock.turn(3600)
    reply = stage.client.get(f"{url}/training/artifacts/job-1")
    for file in ArtifactsReply.model_validate_json(reply.content).artifacts:
        path = tmp_path / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stage.client.get(f"{url}/training/artifacts/job-1/{file.name}").content)
        assert path.stat().st_size == file.bytes
    assert verify_bundle(tmp_path / "adapter").job_id == "job-1"
    assert (tmp_path / "report.html").exists()
    last = (tmp_path / "events.jsonl").read_bytes().splitlines()[-1]
    assert parse_event(last).status is JobStatus.COMPLETED


def test_ranges_of_a_file_can_be_fetched(stage: Stage) -> None:
    url = stage.begin()
    stage.clock.turn(3600)
    address = f"{url}/training/artifacts/job-1/adapter/adapter_model.safetensors"
    whole = stage.client.get(address).content
    part = stage.client.get(address, headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, whole[5:10])
    rest = stage.client.get(address, headers={"range": "bytes=100-"})
    assert rest.content == whole[100:]
    assert stage.client.get(address, headers={"range": f"bytes={len(whole)}-"}).status_code == 416


def test_an_attempt_that_goes_on_delivers_the_same_bits(stage: Stage) -> None:
    broken = Stage(FaultPlan(dies_at_step=10))
    broken.begin()
    broken.clock.turn(3600)
    assert broken.compute.list_managed() == []
    second = broken.begin(attempt=2, resume=True)
    broken.clock.turn(LOAD)
    assert [event.data.known() for event in broken.status(second).events if event.kind == "message"] == [
        {"resumed_step": 8}
    ]
    broken.clock.turn(3600)
    first = stage.begin()
    stage.clock.turn(3600)
    name = "training/artifacts/job-1/adapter/adapter_model.safetensors"
    assert broken.client.get(f"{second}/{name}").content == stage.client.get(f"{first}/{name}").content
    steps = [event.step for event in broken.status(second).events if event.kind == "step"]
    assert steps == [9, 10, 11, 12]
    broken.client.close()


def test_machines_without_a_shared_disk_go_on_from_the_checkpoint_they_are_sent() -> None:
    stage = Stage(FaultPlan(dies_at_step=10), shared_disk=False)
    stage.begin()
    stage.clock.turn(3600)
    sent = {"name": "work/checkpoints/step-000004/state.bin", "sha256": "0" * 64, "bytes": 1, "url": "http://x/y"}
    stage.begin(attempt=2, resume=True, files=[sent])
    stage.clock.turn(3600)
    assert next(event.step for event in stage.compute.event_log("train-job-1-2") if event.kind == "step") == 5
    stage.compute.launch(machine_request("job-1", 3))
    stage.begin(attempt=3, resume=True)
    stage.clock.turn(3600)
    assert next(event.step for event in stage.compute.event_log("train-job-1-3") if event.kind == "step") == 1
    stage.client.close()


def test_a_machine_that_dies_is_gone_and_its_event_log_ends_without_an_end() -> None:
    stage = Stage(FaultPlan(dies_at_step=3))
    url = stage.begin()
    stage.clock.turn(LOAD + 3 * STEP - 1)
    assert stage.status(url).alive
    stage.clock.turn(1)
    with pytest.raises(httpx.ConnectTimeout):
        stage.status(url)
    assert stage.compute.find("train-job-1-1") is None
    assert stage.compute.get("m1").state is MachineState.TERMINATED
    stage.clock.turn(3600)
    assert stage.compute.event_log("train-job-1-1")[-1].kind == "step"
    assert stage.compute.cost() == Decimal("2.50") * (BOOT + LOAD + 3 * STEP) / 3600
    stage.client.close()


def test_a_silent_machine_runs_on_and_comes_back_with_all_its_news() -> None:
    stage = Stage(FaultPlan(silent_from_step=2, silent_for=timedelta(seconds=60)))
    url = stage.begin()
    stage.clock.turn(LOAD + 2 * STEP)
    with pytest.raises(httpx.ConnectTimeout):
        stage.status(url)
    assert stage.compute.get("m1").state is MachineState.RUNNING
    stage.clock.turn(60)
    assert max(event.step or 0 for event in stage.status(url).events) == 8
    stage.client.close()


def test_a_machine_can_be_silent_for_ever() -> None:
    stage = Stage(FaultPlan(silent_from_step=2))
    url = stage.begin()
    stage.clock.turn(86_400)
    with pytest.raises(httpx.ConnectTimeout):
        stage.status(url)
    assert stage.compute.get("m1").state is MachineState.RUNNING
    assert stage.compute.event_log("train-job-1-1")[-1].status is JobStatus.COMPLETED
    stage.client.close()


def test_a_failed_training_process_leaves_the_machine_and_its_price_running() -> None:
    stage = Stage(FaultPlan(fails_at_step=2, fails_with=EndReason.OUT_OF_MEMORY))
    url = stage.begin()
    stage.clock.turn(3600)
    told = stage.status(url)
    assert (told.status, told.events[-1].reason, told.alive) == (JobStatus.FAILED, EndReason.OUT_OF_MEMORY, False)
    assert {file.name for file in told.artifacts} == {"events.jsonl", "worker.log"}
    assert stage.compute.get("m1").state is MachineState.RUNNING
    assert stage.compute.cost() == Decimal("2.50") * (BOOT + 3600) / 3600
    stage.client.close()


def test_a_lost_answer_left_a_machine_that_is_found_by_its_name() -> None:
    stage = Stage(FaultPlan(answers_lost=1))
    with pytest.raises(ComputeError, match="lost") as caught:
        stage.compute.launch(machine_request("job-1"))
    assert type(caught.value) is ComputeError
    found = stage.compute.find("train-job-1-1")
    assert found is not None
    assert stage.compute.launch(machine_request("job-1")).id == found.id
    assert stage.compute.launched("train-job-1-1") == 1
    stage.client.close()


def test_a_refused_launch_starts_nothing_and_costs_nothing() -> None:
    stage = Stage(FaultPlan(refusals=2), FaultPlan(refused=True))
    for _ in range(2):
        with pytest.raises(NoCapacity):
            stage.compute.launch(machine_request("job-1"))
    with pytest.raises(ComputeRefused):
        stage.compute.launch(machine_request("job-2"))
    stage.clock.turn(3600)
    assert stage.compute.cost() == 0
    assert stage.compute.launch(machine_request("job-1")).name == "train-job-1-1"
    stage.client.close()


def test_an_end_that_is_accepted_and_does_nothing_must_be_repeated() -> None:
    stage = Stage(FaultPlan(ignored_terminations=2, polls_until_terminated=3))
    stage.begin()
    asked = 0
    while stage.compute.get("m1").state is not MachineState.TERMINATED:
        stage.compute.terminate("m1")
        asked += 1
        stage.clock.turn(60)
    assert asked == 6
    assert stage.compute.cost() == Decimal("2.50") * (BOOT + 6 * 60) / 3600
    stage.client.close()


def test_a_machine_that_fails_to_boot_is_gone_before_it_answers() -> None:
    stage = Stage(FaultPlan(never_boots=True))
    machine = stage.compute.launch(machine_request("job-1"))
    stage.clock.turn(BOOT - 1)
    assert stage.compute.get(machine.id).state is MachineState.STARTING
    stage.clock.turn(1)
    assert stage.compute.get(machine.id).state is MachineState.TERMINATED
    stage.client.close()


def test_an_outage_of_the_provider_answers_nothing_and_changes_nothing(stage: Stage) -> None:
    stage.begin()
    stage.compute.out_of_order_until(stage.clock.now + timedelta(seconds=30))
    for call in (
        lambda: stage.compute.launch(machine_request("job-2")),
        lambda: stage.compute.find("train-job-1-1"),
        lambda: stage.compute.get("m1"),
        lambda: stage.compute.terminate("m1"),
        stage.compute.list_managed,
    ):
        with pytest.raises(ComputeError):
            call()
    stage.clock.turn(30)
    assert [machine.name for machine in stage.compute.list_managed()] == ["train-job-1-1"]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"deadline": "2026-11-23T12:01:30Z"}, EndReason.TIME_LIMIT),
        ({"max_cost_usd": "0.05", "price_usd_per_hour": "3.00"}, EndReason.BUDGET_REACHED),
    ],
)
def test_the_worker_itself_ends_a_run_at_its_limit(stage: Stage, limit: dict[str, str], reason: EndReason) -> None:
    url = stage.begin(**limit)
    stage.clock.turn(49)
    assert stage.status(url).alive
    stage.clock.turn(3600)
    told = stage.status(url)
    assert (told.status, told.events[-1].reason) == (JobStatus.FAILED, reason)
    # The limit is after 60 seconds; the step that would end then is not begun.
    assert told.events[-1].timestamp == stage.clock.now - timedelta(seconds=3649 - 50)
    assert told.events[-1].data.known()["kept_step"] == 3
    assert "adapter/manifest.json" in {file.name for file in told.artifacts}


def test_a_run_that_is_asked_to_stop_ends_its_step_and_keeps_it(stage: Stage) -> None:
    url = stage.begin()
    stage.clock.turn(LOAD + 5.5 * STEP)
    body = {"export": True, "graceful_stop_reason": "cancelled_by_user"}
    for _ in range(2):
        stage.client.post(f"{url}/training/stop/job-1", json=body).raise_for_status()
        assert stage.status(url).alive
    stage.clock.turn(STEP)
    told = stage.status(url)
    assert (told.alive, told.events[-1].reason, told.events[-1].data.known()["kept_step"]) == (
        False, EndReason.CANCELLED_BY_USER, 6,
    )  # fmt: skip
    assert "adapter/manifest.json" in {file.name for file in told.artifacts}


@pytest.mark.parametrize(("steps", "exported"), [(5, True), (3, False)])
def test_asked_to_stop_after_its_end_a_run_gives_the_adapter_of_its_checkpoint(
    stage: Stage, steps: int, *, exported: bool
) -> None:
    url = stage.begin()
    stage.clock.turn(LOAD + steps * STEP)
    stage.client.post(f"{url}/training/stop/job-1").raise_for_status()
    asked = stage.client.post(f"{url}/training/stop/job-1", json={"graceful_stop_reason": "budget_reached"})
    reply = StatusReply.model_validate_json(asked.content)
    assert ("adapter/manifest.json" in {file.name for file in reply.artifacts}) is exported
    assert (reply.export_error is None) is exported


def test_a_stop_interrupts_the_run_and_a_second_one_changes_nothing(stage: Stage) -> None:
    url = stage.begin()
    stage.clock.turn(LOAD + 5 * STEP)
    for _ in range(2):
        stage.client.post(f"{url}/training/stop/job-1").raise_for_status()
        stage.clock.turn(600)
    told = stage.status(url)
    assert (told.status, told.events[-1].reason) == (JobStatus.FAILED, EndReason.INTERRUPTED)
    assert _kinds(told.events)["end"] == 1
    kept = ArtifactsReply.model_validate_json(stage.client.get(f"{url}/training/artifacts/job-1").content).checkpoint
    assert kept is not None
    assert kept.step == 4


def test_a_start_may_be_repeated_and_another_job_is_told_to_wait(stage: Stage) -> None:
    url = stage.begin()
    stage.clock.turn(60)
    before = stage.status(url)
    again = stage.client.post(f"{url}/training/start", content=start_request("job-1").model_dump_json())
    assert StatusReply.model_validate_json(again.content) == before
    other = stage.client.post(f"{url}/training/start", content=start_request("job-2").model_dump_json())
    assert other.status_code == 409
    assert stage.client.post(f"{url}/training/start", content="{}").status_code == 422


def test_only_the_machines_own_token_is_let_in(stage: Stage) -> None:
    url = stage.begin()
    for header in ("Bearer another", "", TOKEN):
        reply = stage.client.get(f"{url}/training/status/job-1", headers={"authorization": header})
        assert reply.status_code == 401
    assert stage.client.get(f"{url}/training/status/job-2").status_code == 404


@given(st.integers(0, 10_000))
def test_the_same_seed_gives_the_same_event_log(seed: int) -> None:
    names = [machine_request(f"job-{number}") for number in range(4)]
    once = [seeded_faults(seed)(name) for name in names]
    assert [seeded_faults(seed)(name) for name in reversed(names)] == once[::-1]


def test_seeds_give_different_event_logs() -> None:
    assert len({seeded_faults(seed)(machine_request("job-1")) for seed in range(50)}) > 25


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_whoever_repeats_until_gone_leaves_nothing_behind_and_pays_for_what_lived(seed: int) -> None:
    clock = HandClock()
    compute = SimulatedCompute(clock, seeded_faults(seed, chance=0.5), capacity=2)
    for job in range(4):
        _launch_patiently(compute, clock, f"job-{job}")
        for machine in compute.list_managed():
            while compute.get(machine.id).state is not MachineState.TERMINATED:
                compute.terminate(machine.id)
                clock.turn(7)
    assert compute.list_managed() == []
    alive = sum(((m.gone_at or clock.now) - m.launched_at for m in compute.machines()), timedelta(0))
    paid = Decimal("2.50") * Decimal(str(alive.total_seconds())) / 3600
    clock.turn(86_400)
    assert abs(compute.cost() - paid) < Decimal("0.000001")


def _launch_patiently(compute: SimulatedCompute, clock: HandClock, job: str) -> None:
    for _ in range(10):
        clock.turn(5)
        try:
            compute.launch(machine_request(job))
        except NoCapacity:
            continue
        except ComputeError:
            if compute.find(machine_name(job, 1)) is not None:
                break
        else:
            break
    assert compute.launched(machine_name(job, 1)) == 1


def test_names_can_be_read_back() -> None:
    for job, attempt in [("a-1-2", 3), ("6f1c-7", 999_999), ("x", 1)]:
        assert parse_machine_name(machine_name(job, attempt)) == (job, attempt)
    for stranger in ["train-", "train-x", "train-x-0", "train--1", "train-x-1 ", "brain-x-1", "train-../x-1", ""]:
        assert parse_machine_name(stranger) is None
    for job, attempt in [("../x", 1), ("x", 0), ("", 1), ("a b", 1)]:
        with pytest.raises(ValueError, match="no machine"):
            machine_name(job, attempt)
