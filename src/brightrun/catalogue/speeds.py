"""How fast machines train and what a run spends outside of its steps: figures with origin, date and source."""

from __future__ import annotations

import datetime
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from brightrun.catalogue.tables import read_table

Origin = Literal["measured", "published", "assumed"]
PrecisionName = Literal["nf4", "bf16", "fp32"]
StartupKey = Literal["start", "imports", "download", "load", "encode", "write"]


class _Figure(BaseModel):
    """Something that was measured, published or assumed, on that day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: Origin
    date: datetime.date
    source: str = Field(min_length=1)


class MfuFigure(_Figure):
    """Share of a GPU's nominal dense bf16 speed that training a model reached. `parameters` is its size."""

    model: str
    parameters: int = Field(gt=0)
    gpu: str
    precision: PrecisionName
    engine: str
    share: float = Field(gt=0, lt=1)


class ProcessorCosts(_Figure):
    """What a processor reaches of the benchmark's rates.

    Shares are of its matrix products. Passes say how many bytes cross memory per byte of a kept number. Launch
    seconds are per layer: of one row's training, of one answer's token, and what an adapter adds to the latter. Wake
    seconds come on top of each where there are several threads: the others sleep between two products and have to be
    woken. `dropout_flops` are per byte drawn, at the speed of products in one thread: PyTorch draws in one.
    """

    model: str
    precision: PrecisionName
    engine: str
    matmul_share: float = Field(gt=0, le=1)
    attention_share: float = Field(gt=0, le=1)
    layer_passes: float = Field(gt=0)
    head_passes: float = Field(gt=0)
    dropout_flops: float = Field(ge=0)
    kernel_launch_seconds: float = Field(ge=0)
    answer_launch_seconds: float = Field(ge=0)
    adapter_launch_seconds: float = Field(ge=0)
    wake_seconds: float = Field(ge=0)
    answer_wake_seconds: float = Field(ge=0)
    adapter_wake_seconds: float = Field(ge=0)


class AcceleratorCosts(_Figure):
    """What a GPU spends where its speed is not the limit: launching kernels for short rows, reading weights to answer.

    Launch seconds are per layer, as on a processor.
    """

    kernel_launch_seconds: float = Field(ge=0)
    answer_bandwidth_share: float = Field(gt=0, le=1)
    answer_launch_seconds: float = Field(ge=0)
    adapter_launch_seconds: float = Field(ge=0)


class Spread(BaseModel):
    """An expected value between a low and a high one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Spread:
        if not self.low <= self.expected <= self.high:
            raise ValueError("low, expected and high must not fall")
        return self


class Startup(_Figure):
    """A time outside of the steps: as seconds, or as the rate of something whose amount is known."""

    key: StartupKey
    device: Literal["cpu", "cuda"]
    seconds: Spread | None = None
    bytes_per_second: Spread | None = None
    tokens_per_second: Spread | None = None

    @model_validator(mode="after")
    def _one_measure(self) -> Startup:
        given = [value for value in (self.seconds, self.bytes_per_second, self.tokens_per_second) if value is not None]
        if len(given) != 1:
            raise ValueError("give either seconds or one rate")
        return self

    @property
    def value(self) -> Spread:
        """The one measure that is given."""
        return self.seconds or self.bytes_per_second or self.tokens_per_second  # type: ignore[return-value]


@cache
def load_mfu() -> tuple[MfuFigure, ...]:
    """Every recorded share, in the order of the table."""
    return tuple(MfuFigure.model_validate(row) for row in read_table("speeds.toml")["utilization"])


@cache
def load_processor_costs() -> ProcessorCosts:
    return ProcessorCosts.model_validate(read_table("speeds.toml")["processor"])


@cache
def load_accelerator_costs() -> AcceleratorCosts:
    return AcceleratorCosts.model_validate(read_table("speeds.toml")["accelerator"])


@cache
def load_startup() -> dict[tuple[str, str], Startup]:
    """Times outside of the steps by (device, key)."""
    rows = [Startup.model_validate(row) for row in read_table("speeds.toml")["startup"]]
    return {(row.device, row.key): row for row in rows}
