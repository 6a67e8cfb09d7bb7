"""How long runs take beside what was planned: three recipes on the sample dataset, every phase included.

    python benchmarks/duration.py                 three runs cut to a few steps, under twelve minutes
    python benchmarks/duration.py --steps 20      longer ones; 0 runs the recipes whole
    python benchmarks/duration.py --json

The processor is measured for ten seconds first. Each run is planned and then started as `brightrun train` would start
it. What is measured comes from its event log and the clock. On a machine with other work speed test and runs
are disturbed: the share that other programs took is told. Peak memory is beside it. The base model must be pulled:
brightrun model pull smollm2-135m-instruct"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from brightrun.catalogue.folders import find_pulled
from brightrun.contract.events import read_event_log
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.jobs.base_model import pulled_base
from brightrun.jobs.make_run import make_run
from brightrun.jobs.plan_run import PlanTarget, RunRequest
from brightrun.planning.cpu_benchmark import CPU_BENCHMARK_SECONDS
from brightrun.planning.job_plan import JobPlan
from brightrun.planning.this_machine import current_cpu_benchmark, this_machine
from brightrun.settings import read_settings

MODEL = "smollm2-135m-instruct"
TOLERANCE = 0.25
RECIPES: dict[str, dict[str, Any]] = {
    "quickstart": {},
    "conservative": {"validation_fraction": 0.25, "evaluations": 2, "sample_answers": 4, "sample_tokens": 60},
    "aggressive": {"validation_fraction": 0.15, "evaluations": 1, "sample_answers": 4, "sample_tokens": 60},
}
"""Settings beside the recipe's, so that the phases differ from run to run and all three end in time."""
OWN_STEPS = {"quickstart": 1.0, "conservative": 0.5, "aggressive": 0.5}
"""Shares of --steps: the latter two have nearly three times the answers in a step."""


@dataclass(frozen=True)
class Timed:
    """One run: seconds planned and taken, in all and by phase; bytes of memory planned and taken at the most."""

    recipe: str
    steps: int
    planned: float
    low: float
    high: float
    measured: float
    processor: float
    phases: dict[str, tuple[float, float]]
    others: float
    planned_memory: int
    measured_memory: int

    @property
    def off(self) -> float:
        return self.planned / self.measured - 1

    @property
    def memory_off(self) -> float:
        return self.planned_memory / self.measured_memory - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="steps of the quickstart's run; 0: all of every recipe")
    parser.add_argument("--recipe", choices=RECIPES, action="append", help="only these")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    settings = read_settings()
    model = find_pulled(MODEL, settings.models)
    if model is None:
        sys.exit(f"error: {MODEL} is not on this machine\nhint: brightrun model pull {MODEL}")
    benchmark = current_cpu_benchmark(settings.home, CPU_BENCHMARK_SECONDS, again=True)
    say(f"{benchmark.processor}, {benchmark.threads} threads: {benchmark.matmul_flops_per_second / 1e9:.0f} GFLOP/s")
    runs = [run_once(recipe, model, settings.home, arguments.steps) for recipe in arguments.recipe or RECIPES]
    if arguments.json:
        print(
            json.dumps(
                {"benchmark": benchmark.model_dump(mode="json"), "runs": [asdict(run) for run in runs]}, indent=2
            )
        )
    else:
        print(as_table(runs))


def run_once(recipe: str, model: Path, home: Path, steps: int) -> Timed:
    """Plan, run to the end, compare."""
    wished = dict(RECIPES[recipe])
    if steps:
        wished["max_steps"] = max(1, round(steps * OWN_STEPS[recipe]))
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "run")
        target = PlanTarget(this_machine(home, cpu_benchmark_seconds=CPU_BENCHMARK_SECONDS))
        plan = make_run(
            RunRequest(sample_dataset_path(), recipe, wished), pulled_base(model), folder, target=target
        ).plan
        say(f"{recipe}: {plan.steps} steps, planned {plan.duration.expected_seconds:.0f} s")
        before, began = busy_seconds(), time.time()
        worker = subprocess.run(
            [sys.executable, "-m", "brightrun.worker", "run", str(folder.root)], capture_output=True, check=False
        )
        seconds = time.time() - began
        own = psutil.Process().cpu_times()
        processor = own.children_user + own.children_system - children.spent
        children.spent += processor
        others = max(busy_seconds() - before - processor, 0.0)
        if worker.returncode:
            sys.exit(f"error: the run of {recipe} failed: {worker.stderr.decode()[-500:]}")
        found = Timed(
            recipe=recipe,
            steps=plan.steps,
            planned=plan.duration.expected_seconds,
            low=plan.duration.low_seconds,
            high=plan.duration.high_seconds,
            measured=seconds,
            processor=processor,
            phases=phases_of(plan, folder, began, seconds),
            others=others / (seconds * (psutil.cpu_count() or 1)),
            planned_memory=plan.memory.total_bytes,
            measured_memory=peak_of(folder),
        )
        say(f"{recipe}: took {seconds:.0f} s, planned {found.off:+.0%}")
        return found


class _Children:
    """Processor seconds of the runs that have ended; the system adds them up."""

    spent = 0.0


children = _Children()


def busy_seconds() -> float:
    """Processor seconds that all programs of this machine have spent."""
    machine = psutil.cpu_times()
    return float(machine.user + machine.system + getattr(machine, "nice", 0.0))


def phases_of(plan: JobPlan, folder: RunFolder, began: float, seconds: float) -> dict[str, tuple[float, float]]:
    """Planned and measured seconds of every phase; a phase lasts until the event log enters the next."""
    entered: dict[str, float] = {}
    for event in read_event_log(folder.event_log):
        entered.setdefault(str(event.status), event.timestamp.timestamp() - began)
    starts = [(phase, entered[phase]) for phase in plan.phases if phase in entered]
    ends = [start for _, start in starts[1:]] + [seconds]
    measured = {"provisioning": starts[0][1]}
    measured |= {phase: end - start for (phase, start), end in zip(starts, ends, strict=True)}
    return {phase: (plan.phases[phase].expected_seconds, measured[phase]) for phase in plan.phases}


def peak_of(folder: RunFolder) -> int:
    """The most bytes that a step reported."""
    return max(int(event.data.known().get("memory_bytes", 0)) for event in read_event_log(folder.event_log))


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def as_table(runs: list[Timed]) -> str:
    lines = [f"{'':30}{'planned s':>10}{'measured s':>12}{'off':>8}{'others':>8}{'processor s':>13}"]
    for run in runs:
        name = f"{run.recipe}, {run.steps} steps"
        lines.append(
            f"{name:30}{run.planned:10.0f}{run.measured:12.0f}{run.off:+8.0%}{run.others:8.0%}{run.processor:13.0f}"
        )
        lines += [f"  {phase:28}{planned:10.1f}{found:12.1f}" for phase, (planned, found) in run.phases.items()]
        planned, found = run.planned_memory / 1e9, run.measured_memory / 1e9
        lines.append(f"  {'memory, GB':28}{planned:10.2f}{found:12.2f}{run.memory_off:+8.0%}")
    within = sum(abs(run.off) <= TOLERANCE for run in runs)
    inside = sum(run.low <= run.measured <= run.high for run in runs)
    lines.append(f"{within} of {len(runs)} within {TOLERANCE:.0%}, {inside} inside the plan's band")
    lines.append("others: the share of all processors that other programs took during the run")
    lines.append("processor s: what the run itself took; with one thread about what a quiet machine would take")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
