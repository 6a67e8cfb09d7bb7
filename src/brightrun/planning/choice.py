"""Which GPUs hold a job, cheapest first, and how much more would fit on each. Asks no provider what is free."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.gpus import Cloud, Gpu, GpuPrice, load_gpus
from brightrun.planning.cost import CostEstimate, HourlyPrice, InstanceType
from brightrun.planning.device import guess_gpu
from brightrun.planning.durations import Duration
from brightrun.planning.job_plan import plan_job
from brightrun.planning.phases import ValidationSet
from brightrun.planning.plan import NO_VALIDATION, RunShape
from brightrun.runs.flops import MicroBatchSize, make_micro_batch
from brightrun.runs.memory import estimate_memory
from brightrun.templating.batches import ExampleSize

MAX_AT_ONCE = 256
"""Sequences in one row beyond which nobody needs to know."""


class GpuOffer(BaseModel):
    """A GPU for a job: whether it holds it, how long and how much it would take.

    `largest_micro_batch_tokens` is the longest single example whose training fits, `largest_batch_size` the largest
    number of sequences as long as the data's longest; both are absent where not even one token, or one sequence, fits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu: str
    title: str
    fits: bool
    tight: bool = Field(description="Fits as expected, but not at the high end of the band.")
    memory_bytes: int
    needed_bytes: int
    duration: Duration
    cost: CostEstimate | None
    largest_micro_batch_tokens: int | None
    largest_batch_size: int | None


def choose_gpus(
    shape: RunShape,
    *,
    validation: ValidationSet = NO_VALIDATION,
    gpus: Iterable[Gpu] | None = None,
    cloud: Cloud = "secure",
    instance_type: InstanceType = "on_demand",
) -> tuple[GpuOffer, ...]:
    """Every GPU: those that hold the job first, by expected dollars, those without a price behind, by hours.

    Args:
        shape: The job laid out for a GPU.
        validation: What is asked before and after.
        gpus: Those to choose from; absent: all of the catalogue.
        cloud: Whose prices.
        instance_type: On demand, or spot where a price for it is recorded.
    """
    assert shape.kind == "cuda", "lay the run out for a GPU first"
    offers = [_offer(gpu, shape, validation, cloud, instance_type) for gpu in gpus or load_gpus().values()]
    return tuple(sorted(offers, key=_rank))


def gpu_price(gpu: Gpu, *, cloud: Cloud = "secure", instance_type: InstanceType = "on_demand") -> HourlyPrice | None:
    """The newest recorded price of a GPU; None where none is recorded, never 0."""
    found: GpuPrice | None = gpu.latest_price(cloud=cloud, instance_type=instance_type)
    if found is None:
        return None
    return HourlyPrice(
        usd_per_hour=found.usd_per_hour, date=found.date, source=found.source, instance_type=instance_type
    )


def _rank(offer: GpuOffer) -> tuple[bool, bool, float]:
    price = offer.cost
    return (
        not offer.fits,
        price is None,
        offer.duration.expected_seconds if price is None else float(price.expected_usd),
    )


def _offer(gpu: Gpu, shape: RunShape, validation: ValidationSet, cloud: Cloud, instance_type: InstanceType) -> GpuOffer:
    device = guess_gpu(gpu, shape.entry, shape.hyperparameters)
    plan = plan_job(
        shape, device, validation=validation, price=gpu_price(gpu, cloud=cloud, instance_type=instance_type)
    )
    return GpuOffer(
        gpu=gpu.name,
        title=gpu.title,
        fits=bool(plan.fits),
        tight=bool(plan.fits) and plan.memory.high_bytes > gpu.memory_bytes,
        memory_bytes=gpu.memory_bytes,
        needed_bytes=plan.memory.total_bytes,
        duration=plan.duration,
        cost=plan.cost,
        largest_micro_batch_tokens=largest_micro_batch_tokens(shape, gpu.memory_bytes),
        largest_batch_size=largest_batch_size(shape, gpu.memory_bytes),
    )


def largest_micro_batch_tokens(shape: RunShape, memory_bytes: int) -> int | None:
    """The longest single sequence, up to the model's context, whose training fits; None where not even one token's."""
    share = sum(size.trained_tokens for size in shape.sizes) / sum(size.tokens for size in shape.sizes)

    def micro_batch(tokens: int) -> MicroBatchSize:
        return make_micro_batch([ExampleSize(tokens, max(1, round(share * tokens)), 1)], packing=True)

    return _largest(shape.entry.context_length, lambda tokens: _needed(shape, micro_batch(tokens)) <= memory_bytes)


def largest_batch_size(shape: RunShape, memory_bytes: int, at_most: int = MAX_AT_ONCE) -> int | None:
    """How many sequences as long as the data's longest fit into one row; None where not even one does."""
    longest = max(shape.sizes, key=lambda size: size.tokens)
    packing = shape.hyperparameters.packing

    def fits(count: int) -> bool:
        return _needed(shape, make_micro_batch([longest] * count, packing=packing)) <= memory_bytes

    return _largest(at_most, fits)


def _needed(shape: RunShape, micro_batch: MicroBatchSize) -> int:
    return estimate_memory(
        shape.entry,
        shape.hyperparameters,
        adapter_parameters=shape.adapter,
        micro_batches=[micro_batch],
        kind=shape.kind,
    ).total_bytes


def _largest(at_most: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from 1 for which `fits` holds, where it holds for all below it."""
    low, high = 0, at_most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low or None
