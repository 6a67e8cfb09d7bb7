"""The GPUs that are known: memory, nominal speed and dated prices. Asks no provider for live ones."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.tables import read_table, suggest
from brightrun.errors import InputError

Cloud = Literal["secure", "community"]
InstanceType = Literal["on_demand", "spot"]


class GpuPrice(BaseModel):
    """What one card cost per hour in USD, when (absent: unknown), and where that was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Literal["runpod"]
    cloud: Cloud
    instance_type: InstanceType = "on_demand"
    usd_per_hour: Decimal = Field(gt=0)
    date: datetime.date | None = None
    source: str = Field(min_length=1)


class Gpu(BaseModel):
    """One card. Speeds are nominal, dense and without sparsity; `memory_bytes` is what the driver reports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    runpod_id: str | None = None
    memory_bytes: int = Field(gt=0)
    dense_bf16_flops: float = Field(gt=0, description="Floating point operations per second.")
    bandwidth_bytes_per_second: float = Field(gt=0)
    prices: tuple[GpuPrice, ...] = ()

    def latest_price(
        self, provider: str = "runpod", cloud: Cloud = "secure", instance_type: InstanceType = "on_demand"
    ) -> GpuPrice | None:
        """The newest recorded price, or None where none is recorded. Undated prices count as the oldest."""
        wanted = (provider, cloud, instance_type)
        offers = [price for price in self.prices if (price.provider, price.cloud, price.instance_type) == wanted]
        return max(offers, key=lambda price: price.date or datetime.date.min, default=None)


@cache
def load_gpus() -> Mapping[str, Gpu]:
    """Every known GPU by name, in the order of the table."""
    gpus = [Gpu.model_validate(row) for row in read_table("gpus.toml")["gpus"]]
    return MappingProxyType({gpu.name: gpu for gpu in gpus})


def find_gpu(name: str) -> Gpu:
    """The GPU of that name, title or provider's id, letter case aside.

    Raises:
        InputError: none is called so; the hint lists near names.
    """
    wanted = name.strip().lower()
    gpus = load_gpus()
    for gpu in gpus.values():
        if wanted in {gpu.name, gpu.title.lower(), (gpu.runpod_id or gpu.name).lower()}:
            return gpu
    raise InputError(f"No GPU is called '{name}'.", hint=suggest(wanted, gpus), details={"gpu": name})
