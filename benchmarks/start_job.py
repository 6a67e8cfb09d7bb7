"""How often conversations are encoded from an upload to the queue, and how long the steps of it take.

    python benchmarks/start_job.py --models FOLDER --model NAME
    python benchmarks/start_job.py --models FOLDER --model NAME --file FILE --json

The model must be pulled into the folder. Without a file: the sample dataset. Times are medians over new studios; the
chat template is at hand, as in a server that runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.webhook import make_studio

from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import QUICK_BENCHMARK_SECONDS, JobRequest, plan_job, submit_job
from brightrun.planning.this_machine import current_cpu_benchmark
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model

RUNS = 5
OWNER = "bench"
Steps = dict[str, Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of pulled models")
    parser.add_argument("--model", required=True, help="name of a pulled model")
    parser.add_argument("--file", type=Path, help="a dataset")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    llama3_chat_model()
    file = options.file or sample_dataset_path()
    runs = [measure(file, options.models, options.model) for _ in range(RUNS)]
    result = {
        step: {name: statistics.median(run[step][name] for run in runs) for name in runs[0][step]} for step in runs[0]
    }
    print(json.dumps(result, indent=2) if options.json else as_text(result))


def measure(file: Path, models: Path, model: str) -> dict[str, dict[str, float]]:
    """Encodes and milliseconds of each step, in a studio of its own."""
    with tempfile.TemporaryDirectory() as folder:
        studio = replace(make_studio(Path(folder)), models=models)
        current_cpu_benchmark(studio.home, seconds=QUICK_BENCHMARK_SECONDS)  # as `brightrun serve` does when it starts
        try:
            return {name: counted(step) for name, step in steps_of(studio, file, model).items()}
        finally:
            studio.database.close()


def steps_of(studio: Studio, file: Path, model: str) -> Steps:
    def request(**settings: Any) -> JobRequest:
        row = add_dataset(studio, owner_id=OWNER, file_name=file.name, source=file)
        return JobRequest(training_file_id=row.id, base_model=model, recipe="balanced", hyperparameters=settings)

    return {
        "upload": lambda: add_dataset(studio, owner_id=OWNER, file_name=file.name, source=file),
        "plan": lambda: plan_job(studio, request(), owner_id=OWNER),
        "start-job": lambda: submit_job(studio, request(), owner_id=OWNER),
        "start-job, another split": lambda: submit_job(studio, request(seed=7), owner_id=OWNER),
    }


def counted(step: Callable[[], object]) -> dict[str, float]:
    encodes = 0
    encode = ChatModel._sequences

    def one_more(model: ChatModel, messages: Any) -> Any:
        nonlocal encodes
        encodes += 1
        return encode(model, messages)

    ChatModel._sequences = one_more  # type: ignore[method-assign]
    began = time.perf_counter()
    try:
        step()
    finally:
        ChatModel._sequences = encode  # type: ignore[method-assign]
    return {"encodes": encodes, "milliseconds": round((time.perf_counter() - began) * 1000, 1)}


def as_text(result: dict[str, dict[str, float]]) -> str:
    return "\n".join(
        f"{step:<26} {figures['encodes']:>4.0f} encodes  {figures['milliseconds']:>8,.1f} ms"
        for step, figures in result.items()
    )


if __name__ == "__main__":
    main()
