"""What was planned is what happens: steps, tokens, losses and checkpoints exactly, memory within its tolerance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brightrun.contract.events import Event, read_event_log
from brightrun.contract.run_folder import RunFolder
from brightrun.jobs.base_model import pulled_base
from brightrun.jobs.make_run import MadeRun, make_run
from brightrun.jobs.plan_run import PlanTarget, RunRequest
from brightrun.planning.job_plan import PHASES
from brightrun.planning.this_machine import this_machine
from brightrun.runs.steps import checkpoint_steps, evaluation_steps
from tests.runs import start_worker

pytestmark = [pytest.mark.worker, pytest.mark.slow]
torch = pytest.importorskip("torch")


def run(folder: Path, model: Path, dataset: Path, home: Path, **settings: Any) -> tuple[MadeRun, list[Event]]:
    """A run of the tiny model, planned as `brightrun train` plans it, to its end."""
    request = RunRequest(dataset, "quickstart", {"sample_answers": 2, "sample_tokens": 8, **settings})
    target = PlanTarget(this_machine(home, cpu_benchmark_seconds=0.05))
    made = make_run(request, pulled_base(model), RunFolder(folder), target=target)
    worker = start_worker(made.folder)
    _, said = worker.communicate(timeout=240)
    assert worker.returncode == 0, said.decode()
    return made, list(read_event_log(made.folder.event_log))


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluations": 3, "checkpoints": 4},
        {
            "num_epochs": 1.5,
            "batch_size": 8,
            "packing": False,
            "evaluations": 30,
            "checkpoints": 2,
            "adapter_choice": "best",
        },
        {"example_unit": "answer", "max_steps": 5, "batch_size": 2, "evaluations": 10, "checkpoints": 10},
    ],
    ids=["usual", "padded, best kept", "separate"],
)
def test_a_plan_comes_true(settings: dict[str, Any], tiny_model: Path, sample_dataset: Path, tmp_path: Path) -> None:
    made, told = run(tmp_path / "run", tiny_model, sample_dataset, tmp_path / "home", **settings)
    plan, chosen = made.plan, made.spec.hyperparameters
    steps = [event for event in told if event.kind == "step"]
    assert {event.total_steps for event in told if event.total_steps is not None} == {plan.steps}
    assert [event.step for event in steps] == list(range(1, plan.steps + 1))
    assert sum(event.data.known()["tokens"] for event in steps) == plan.tokens_total
    along = [event for event in told if event.kind == "evaluation" and event.data.known()["phase"] == "during"]
    assert {event.step for event in along} == evaluation_steps(plan.steps, chosen)
    assert {event.step for event in told if event.kind == "checkpoint"} == checkpoint_steps(plan.steps, chosen)
    assert {event.status.value for event in told} == {*PHASES, "completed"} - {"provisioning"}
    peak = max(event.data.known()["memory_bytes"] for event in steps)
    assert plan.memory.total_bytes == pytest.approx(peak, rel=0.15)


@pytest.mark.parametrize("name", ["short", "three padded", "wide, usual"])
def test_peak_memory_is_predicted_within_15_percent(name: str) -> None:
    """A few cases of `benchmarks/memory.py`, in processes of their own."""
    from benchmarks.memory import CASES, TOLERANCE, compare

    (found,) = compare([case for case in CASES if case.name == name])
    assert abs(found.off) <= TOLERANCE, found
    assert found.low <= found.measured <= found.high
