"""How fast a machine does a run's work: from this processor's benchmark, or from the catalogue for a GPU."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.gpus import Gpu
from brightrun.catalogue.models import BaseModelEntry
from brightrun.catalogue.speeds import load_accelerator_costs, load_processor_costs
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.format import about_text
from brightrun.planning.cpu_benchmark import CpuBenchmark
from brightrun.planning.durations import Duration
from brightrun.planning.mfu import find_mfu
from brightrun.planning.work import Work

CPU_BAND = 0.25
"""How far off the expected time a processor may be, beside what other programs do: measured runs lie within it."""


class DeviceGuess(BaseModel):
    """The speed and memory that a plan counts with.

    `flops_per_second` is what training sustains in matrix products, not the peak; the other rates are absent
    where they are part of it. A run should take between `low_factor` and `high_factor` times the expected time.
    `memory_bytes` is what a run may use; absent means unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["cpu", "cuda"]
    name: str
    gpu: str | None = Field(None, description="A GPU of the catalogue; absent on a processor.")
    flops_per_second: float = Field(gt=0)
    attention_flops_per_second: float | None = Field(None, gt=0)
    fresh_bytes_per_second: float | None = Field(None, gt=0, description="New arrays in memory, read and written.")
    streamed_bytes_per_second: float | None = Field(None, gt=0, description="Weights read through once.")
    threads: int = Field(1, gt=0, description="Of a processor; together they reach the speeds above.")
    low_factor: float = Field(gt=0, le=1)
    high_factor: float = Field(ge=1)
    memory_bytes: int | None = Field(None, gt=0)
    obtained: str = Field(min_length=1, description="How the speed was obtained, in words for people.")

    def seconds(self, work: Work) -> float:
        """Expected seconds of that much work."""
        seconds = work.matmul_flops / self.flops_per_second
        seconds += work.attention_flops / (self.attention_flops_per_second or self.flops_per_second)
        if self.kind == "cuda":  # kernels are launched while others run: the slower of the two decides
            seconds = max(seconds, work.kernel_launches * load_accelerator_costs().kernel_launch_seconds)
        if self.fresh_bytes_per_second is not None:
            costs = load_processor_costs()
            passes = work.elementwise_bytes * costs.layer_passes + work.head_bytes * costs.head_passes
            seconds += passes / self.fresh_bytes_per_second + work.kernel_launches * costs.kernel_launch_seconds
            seconds += work.dropped_bytes * costs.dropout_flops * self.threads / self.flops_per_second
            if self.threads > 1:
                seconds += work.kernel_launches * costs.wake_seconds
                seconds += work.answer_kernel_launches * costs.answer_wake_seconds
                seconds += work.adapter_kernel_launches * costs.adapter_wake_seconds
        if self.streamed_bytes_per_second is not None:
            answering = load_processor_costs() if self.kind == "cpu" else load_accelerator_costs()
            seconds += work.streamed_bytes / self.streamed_bytes_per_second
            seconds += work.answer_kernel_launches * answering.answer_launch_seconds
            seconds += work.adapter_kernel_launches * answering.adapter_launch_seconds
        return seconds

    def duration(self, work: Work) -> Duration:
        """The same with its band."""
        expected = self.seconds(work)
        return Duration(
            expected_seconds=expected,
            low_seconds=expected * self.low_factor,
            high_seconds=expected * self.high_factor,
            obtained=self.obtained,
        )


def guess_processor(benchmark: CpuBenchmark, *, memory_bytes: int | None) -> DeviceGuess:
    """This processor as it was measured; on a busy one the band is as wide as the samples were."""
    costs = load_processor_costs()
    low, high = 1 - CPU_BAND, 1 + CPU_BAND
    busy = ""
    if benchmark.is_busy:
        low, high = low / benchmark.fastest, high / benchmark.slowest
        busy = "; other programs were running meanwhile, so it may be off as much as they change"
    return DeviceGuess(
        kind="cpu",
        name=f"{benchmark.processor}, {benchmark.threads} thread{'s' if benchmark.threads > 1 else ''}",
        flops_per_second=benchmark.matmul_flops_per_second * costs.matmul_share,
        attention_flops_per_second=benchmark.matmul_flops_per_second * costs.attention_share,
        fresh_bytes_per_second=benchmark.fresh_bytes_per_second,
        streamed_bytes_per_second=benchmark.streamed_bytes_per_second,
        threads=benchmark.threads,
        low_factor=low,
        high_factor=high,
        memory_bytes=memory_bytes,
        obtained=f"from a CPU speed test of {about_text(benchmark.seconds)} on "
        f"{benchmark.measured_at:%Y-%m-%d %H:%M} UTC: "
        f"{benchmark.matmul_flops_per_second / 1e9:.0f} GFLOP/s in matrix products, of which training was measured to "
        f"reach {costs.matmul_share:.0%}, and {benchmark.fresh_bytes_per_second / 1e9:.0f} GB/s in memory{busy}",
    )


def guess_gpu(gpu: Gpu, entry: BaseModelEntry, hyperparameters: Hyperparameters) -> DeviceGuess:
    """A GPU of the catalogue at the share of its nominal speed that is recorded for this model, or the nearest one."""
    share = find_mfu(entry, gpu, hyperparameters.resolve("cuda").weights)
    return DeviceGuess(
        kind="cuda",
        name=gpu.title,
        gpu=gpu.name,
        flops_per_second=gpu.dense_bf16_flops * share.share,
        streamed_bytes_per_second=gpu.bandwidth_bytes_per_second * load_accelerator_costs().answer_bandwidth_share,
        low_factor=1 / share.band,
        high_factor=share.band,
        memory_bytes=gpu.memory_bytes,
        obtained=share.obtained,
    )
