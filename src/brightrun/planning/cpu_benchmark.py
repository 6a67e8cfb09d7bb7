"""What this processor can do, timed with numpy for some seconds: no torch, no model.

The parts resemble training's: matrix products of a small model's shapes, new arrays in memory, weights read through
once. How training relates to them is `catalogue/speeds.toml`. Other programs make it wrong for a quieter or a
busier hour: the spread of the samples is part of the result."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from brightrun.platforms import usable_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

CPU_BENCHMARK_SECONDS = 10.0
ROW = 512
WIDTHS = ((576, 1536), (1536, 576), (576, 576))
"""Inputs and outputs of SmolLM2-135M's projections, the model that is trained on processors."""
FRESH_SHAPE = (512, 16384)
STREAMED = 120
"""Matrices of 576 × 1,536 that are read through: 425 MB, more than any cache holds."""
ANSWERS = 4
SLICE_SECONDS = 0.25
_CPUINFO = Path("/proc/cpuinfo")


class CpuBenchmark(BaseModel):
    """Rates of this processor with `threads` threads; medians of samples spread over its time.

    `slowest` and `fastest` are the tenth and ninetieth percentile of the products' samples as shares of the median:
    near 1 on a machine with nothing else to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    threads: int = Field(gt=0)
    matmul_flops_per_second: float = Field(gt=0, description="Floating point operations in fp32 matrix products.")
    fresh_bytes_per_second: float = Field(gt=0, description="Read and written when two arrays make a new one.")
    streamed_bytes_per_second: float = Field(gt=0, description="Weights read through once by a few rows.")
    slowest: float = Field(gt=0, le=1)
    fastest: float = Field(ge=1)
    seconds: float = Field(gt=0)
    measured_at: datetime.datetime

    @property
    def is_busy(self) -> bool:
        """Whether other programs took a noticeable part of the processor meanwhile."""
        return self.slowest < 0.8 or self.fastest > 1.25


def run_cpu_benchmark(
    seconds: float = CPU_BENCHMARK_SECONDS, *, now: Callable[[], datetime.datetime] | None = None
) -> CpuBenchmark:
    """Times this processor for about that long, a quarter of a second of each kind in turn."""
    threads = thread_count()
    kinds = (_products(), _fresh(threads), _streamed())
    samples: tuple[list[float], ...] = ([], [], [])
    share = min(SLICE_SECONDS, seconds / 3)
    began = time.perf_counter()
    while not samples[0] or time.perf_counter() - began < seconds - 3 * share / 2:
        for kind, found in zip(kinds, samples, strict=True):
            found.extend(_rates(kind, share))
    matmul_flops, fresh, streamed = (statistics.median(found) for found in samples)
    ordered = sorted(samples[0])
    return CpuBenchmark(
        processor=processor_name(),
        threads=threads,
        matmul_flops_per_second=matmul_flops,
        fresh_bytes_per_second=fresh,
        streamed_bytes_per_second=streamed,
        slowest=ordered[len(ordered) // 10] / matmul_flops,
        fastest=max(1.0, ordered[-1 - len(ordered) // 10] / matmul_flops),
        seconds=time.perf_counter() - began,
        measured_at=(now or _utc_now)(),
    )


def thread_count() -> int:
    """Threads that numpy and the worker take: what the environment says, else the processors this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdigit() and int(told) > 0 else usable_cores()


def processor_name() -> str:
    """As the system calls it: Linux in /proc/cpuinfo, macOS when `sysctl` is asked."""
    return _name_in_cpuinfo() or _name_by_sysctl() or platform.processor() or platform.machine()


def _name_in_cpuinfo() -> str:
    with suppress(OSError), _CPUINFO.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return ""


def _name_by_sysctl() -> str:
    with suppress(OSError):
        asked = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, check=False)
        return asked.stdout.decode("utf-8", errors="replace").strip()
    return ""


_Kind = tuple[float, Callable[[], object]]
"""How much one call does (operations or bytes), and the call."""


def _rates(kind: _Kind, seconds: float) -> list[float]:
    amount, call = kind
    call()
    rates: list[float] = []
    began = before = time.perf_counter()
    while not rates or before - began < seconds:
        call()
        after = time.perf_counter()
        rates.append(amount / (after - before))
        before = after
    return rates


def _products() -> _Kind:
    """A row through one layer's kinds of projections."""
    import numpy as np

    pairs = [(_numbers(ROW, inputs), _numbers(inputs, outputs)) for inputs, outputs in WIDTHS]
    targets = [np.empty((ROW, outputs), np.float32) for _, outputs in WIDTHS]

    def call() -> None:
        for (left, right), target in zip(pairs, targets, strict=True):
            np.matmul(left, right, out=target)

    return 2.0 * ROW * sum(inputs * outputs for inputs, outputs in WIDTHS), call


def _fresh(threads: int) -> _Kind:
    """Two large arrays make a new one, which is given back at once; every thread has its own."""
    arrays = [_numbers(*FRESH_SHAPE) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)

    def once(array: Array) -> None:
        array * array

    def call() -> None:
        if threads == 1:
            once(arrays[0])
        else:
            list(pool.map(once, arrays))

    return 3.0 * sum(array.nbytes for array in arrays), call


def _streamed() -> _Kind:
    """A few rows through more weights than the caches hold, as answering does."""
    one = _numbers(WIDTHS[0][0], WIDTHS[0][1])
    weights = [one.copy() for _ in range(STREAMED)]
    rows = _numbers(ANSWERS, WIDTHS[0][0])

    def call() -> None:
        for weight in weights:
            rows @ weight

    return float(sum(weight.nbytes for weight in weights)), call


def _numbers(rows: int, columns: int) -> Array:
    import numpy as np

    return np.random.default_rng(rows + columns).standard_normal((rows, columns), dtype=np.float32)


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
