"""What this machine is: an NVIDIA GPU of the catalogue or the processor, whose benchmark is kept for a day."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from brightrun.catalogue.gpus import Gpu, load_gpus
from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.files import write_model
from brightrun.planning.cpu_benchmark import CpuBenchmark, processor_name, run_cpu_benchmark, thread_count
from brightrun.planning.device import DeviceGuess, guess_gpu, guess_processor

Machine = Callable[[BaseModelEntry, Hyperparameters], DeviceGuess]
"""A machine's speed depends on what it trains; this says it once both are known."""

CPU_BENCHMARK_NAME = "processor.json"
CPU_BENCHMARK_LASTS = datetime.timedelta(days=1)
BUSY_CPU_BENCHMARK_LASTS = datetime.timedelta(minutes=10)
"""Of one that other programs disturbed: the machine may soon be free again."""
UNKNOWN_FACTOR = 10.0
LONG_ENOUGH = 0.8
"""A benchmark that ends a little before its time is as good."""


def this_machine(home: Path, *, cpu_benchmark_seconds: float, again: bool = False) -> Machine:
    """The machine that a run here would use. The processor is measured where nothing usable is kept, or `again`."""

    def guess(entry: BaseModelEntry, hyperparameters: Hyperparameters) -> DeviceGuess:
        gpu = own_gpu()
        if gpu is not None:
            return guess_gpu(gpu, entry, hyperparameters)
        return guess_processor(
            current_cpu_benchmark(home, cpu_benchmark_seconds, again=again), memory_bytes=free_memory_bytes()
        )

    return guess


def unknown(here: Machine) -> Machine:
    """A machine that is elsewhere and that nobody described: counted as this one, ten times either way, memory unknown.

    Its memory must not be taken for this one's: a small studio would refuse what a large worker holds.
    """

    def guess(entry: BaseModelEntry, hyperparameters: Hyperparameters) -> DeviceGuess:
        return here(entry, hyperparameters).model_copy(
            update={
                "name": "a machine elsewhere",
                "memory_bytes": None,
                "low_factor": 1 / UNKNOWN_FACTOR,
                "high_factor": UNKNOWN_FACTOR,
                "obtained": "the worker's machine is not known and is counted as the studio's, so it may be "
                f"{UNKNOWN_FACTOR:.0f} times faster or slower; name its GPU for a better plan",
            }
        )

    return guess


def rented(gpu: Gpu) -> Machine:
    """A GPU of the catalogue, wherever it is."""
    return lambda entry, hyperparameters: guess_gpu(gpu, entry, hyperparameters)


def current_cpu_benchmark(home: Path, seconds: float, *, again: bool = False) -> CpuBenchmark:
    """The kept benchmark of this processor where one took as long, or a new one of that many seconds, which is kept."""
    kept = saved_cpu_benchmark(home, seconds)
    if kept is not None and not again:
        return kept
    benchmark = run_cpu_benchmark(seconds)
    home.mkdir(parents=True, exist_ok=True)
    write_model(home / CPU_BENCHMARK_NAME, benchmark)
    return benchmark


def saved_cpu_benchmark(home: Path, seconds: float, *, now: datetime.datetime | None = None) -> CpuBenchmark | None:
    """The benchmark in that home: of this processor with as many threads, about as long or longer, of the last day, or
    of the last ten minutes where other programs disturbed it."""
    try:
        benchmark = CpuBenchmark.model_validate_json((home / CPU_BENCHMARK_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    age = (now or datetime.datetime.now(datetime.UTC)) - benchmark.measured_at
    same = (benchmark.processor, benchmark.threads) == (processor_name(), thread_count())
    long_enough = benchmark.seconds >= LONG_ENOUGH * seconds
    lasts = BUSY_CPU_BENCHMARK_LASTS if benchmark.is_busy else CPU_BENCHMARK_LASTS
    return benchmark if same and long_enough and datetime.timedelta(0) <= age <= lasts else None


def free_memory_bytes() -> int:
    """Memory that a run on this processor may take now."""
    import psutil

    return int(psutil.virtual_memory().available)


def own_gpu() -> Gpu | None:
    """The GPU in this machine, where the catalogue knows it."""
    if shutil.which("nvidia-smi") is None:
        return None
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    name = asked.stdout.strip().splitlines()[0] if asked.returncode == 0 and asked.stdout.strip() else ""
    return next((gpu for gpu in load_gpus().values() if gpu.runpod_id == name), None)
