"""What a machine can do: measured for this processor in a second, taken from the data sheet for a GPU."""

from __future__ import annotations

import platform
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.gpus import Gpu

CPU_SHARE = 0.6
"""Share of a plain fp32 matrix product's speed that training reaches.

Measured on 2026-11-23 with SmolLM2-135M (transformers and PEFT, torch 2.13): 95 tokens/s at rows of 500 and
82 at rows of 1,500 on one thread of 110 GFLOP/s, 162 and 140 on two threads of about 190. With operations
counted as this room counts them that is 0.58 to 0.62.
"""
CPU_BAND = 0.35
GPU_SHARE = 0.40
"""Share of nominal dense bf16 that QLoRA reaches; published stacks lie between 0.35 and 0.5. Uncalibrated."""
GPU_BAND = 1.6


class DeviceGuess(BaseModel):
    """The speed and memory that a plan counts with.

    `flops_per_second` is what training sustains, not the peak; a run should take between `low_factor` and
    `high_factor` times the expected time. `memory_bytes` is what a run may use; absent means unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["cpu", "cuda"]
    name: str
    flops_per_second: float = Field(gt=0)
    low_factor: float = Field(gt=0, le=1)
    high_factor: float = Field(ge=1)
    memory_bytes: int | None = Field(None, gt=0)
    obtained: str = Field(min_length=1, description="How the speed was obtained, in words for people.")


def probe_cpu(seconds: float = 1.0, share: float = CPU_SHARE) -> DeviceGuess:
    """Times single fp32 matrix products of two sizes for about that long, on as many threads as numpy takes."""
    import psutil

    measured = max(_product_rate(size, seconds / 2) for size in (512, 1024))
    return DeviceGuess(
        kind="cpu",
        name=platform.processor() or platform.machine(),
        flops_per_second=measured * share,
        low_factor=1 - CPU_BAND,
        high_factor=1 + CPU_BAND,
        memory_bytes=int(psutil.virtual_memory().available),
        obtained=f"from a matrix product timed just now: {measured / 1e9:.0f} GFLOP/s, of which training "
        f"reaches about {share:.0%}; give or take {CPU_BAND:.0%}",
    )


def _product_rate(size: int, seconds: float) -> float:
    """Operations per second of a square fp32 product: the best single one, since other programs disturb the rest."""
    import numpy as np

    left = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    right = np.ascontiguousarray(left.T)
    left @ right
    best, start = 0.0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        left @ right
        best = max(best, 2.0 * size**3 / (time.perf_counter() - before))
    return best


def guess_gpu(gpu: Gpu) -> DeviceGuess:
    """A GPU of the catalogue at the usual share of its nominal speed. Uncalibrated, and says so."""
    return DeviceGuess(
        kind="cuda",
        name=gpu.title,
        flops_per_second=gpu.dense_bf16_flops * GPU_SHARE,
        low_factor=1 / GPU_BAND,
        high_factor=GPU_BAND,
        memory_bytes=gpu.memory_bytes,
        obtained=f"uncalibrated: {GPU_SHARE:.0%} of the nominal {gpu.dense_bf16_flops / 1e12:.0f} TFLOP/s; "
        f"it may be {GPU_BAND} times faster or slower",
    )
