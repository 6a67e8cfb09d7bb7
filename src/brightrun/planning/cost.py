"""What a run costs at a price per hour, interruptions included."""

from __future__ import annotations

import datetime
import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from brightrun.catalogue.gpus import InstanceType
from brightrun.planning.durations import Duration

__all__ = ["CostEstimate", "HourlyPrice", "InstanceType", "estimate_cost", "with_interruptions"]

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""Dollars to a hundredth of a cent: exact inside, a number in JSON, as everywhere in the API."""
HOUR = 3600.0
HOURS_BETWEEN_INTERRUPTIONS: dict[InstanceType, float] = {"on_demand": 50_000.0, "spot": 8.0}
"""Hours that a machine runs before it is lost, on average.

on_demand: published, 419 unexpected interruptions in 54 days on 16,384 H100 (Llama 3 report, arXiv 2407.21783,
section 3.3.4), which is one in 50,700 hours of a card. spot: assumed; no provider publishes a figure.
"""


STORAGE_USD_PER_GB_MONTH = Decimal("0.07")
"""RunPod's network volumes, first terabyte, documentation of August 2026; beyond it 0.05."""
STORAGE_USD_BEYOND = Decimal("0.05")
TERABYTE = 10**12


class HourlyPrice(BaseModel):
    """What a machine costs per hour, of which day (absent: unknown), and who says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    usd_per_hour: Decimal = Field(gt=0)
    date: datetime.date | None = None
    source: str = Field(min_length=1)
    instance_type: InstanceType = "on_demand"


class CostEstimate(BaseModel):
    """Dollars with their band, at that price. A run whose price is not known has no cost estimate, never one of 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected_usd: Usd
    low_usd: Usd
    high_usd: Usd
    usd_per_hour: Usd
    price_date: datetime.date | None
    price_source: str
    instance_type: InstanceType
    expected_interruptions: float
    obtained: str


def estimate_cost(
    duration: Duration, price: HourlyPrice, *, checkpoint_seconds: float, restart_seconds: float
) -> CostEstimate:
    """Hours × price, every hour from the machine's first to its last, interruptions included.

    Args:
        duration: Of the whole run, undisturbed.
        price: What the machine costs.
        checkpoint_seconds: Work between two checkpoints, all of which may be lost.
        restart_seconds: From an interruption to the next step: a new machine, its start, the load.
    """
    hours = HOURS_BETWEEN_INTERRUPTIONS[price.instance_type]
    disturbed = [
        with_interruptions(
            seconds, between=hours * HOUR, checkpoint_seconds=checkpoint_seconds, restart_seconds=restart_seconds
        )
        for seconds in (duration.expected_seconds, duration.low_seconds, duration.high_seconds)
    ]
    expected, low, high = (_cents(seconds, price.usd_per_hour) for seconds in disturbed)
    day = "of an unknown day" if price.date is None else f"of {price.date.isoformat()}"
    return CostEstimate(
        expected_usd=expected,
        low_usd=low,
        high_usd=high,
        usd_per_hour=price.usd_per_hour,
        price_date=price.date,
        price_source=price.source,
        instance_type=price.instance_type,
        expected_interruptions=duration.expected_seconds / (hours * HOUR),
        obtained=f"hours × {price.usd_per_hour} USD, the price {day} ({price.source}); one interruption in "
        f"{hours:,.0f} hours is {'published' if price.instance_type == 'on_demand' else 'assumed'}",
    )


def with_interruptions(seconds: float, *, between: float, checkpoint_seconds: float, restart_seconds: float) -> float:
    """Expected seconds of a run that loses its machine at random, once in `between` seconds on average.

    M · exp(R/M) · (exp(τ/M) − 1) · T/τ with work T, checkpoints every τ and restarts of R (J. T. Daly, A higher order
    estimate of the optimum checkpoint interval for restart dumps, 2006, section 3; writing a checkpoint is part of T).
    """
    interval = min(max(checkpoint_seconds, 1e-9), max(seconds, 1e-9))
    return between * math.exp(restart_seconds / between) * math.expm1(interval / between) * seconds / interval


def storage_usd_per_month(count_bytes: int) -> Decimal:
    """What keeping so many bytes on a network volume costs a month."""
    first, beyond = min(count_bytes, TERABYTE), max(count_bytes - TERABYTE, 0)
    usd = Decimal(first) * STORAGE_USD_PER_GB_MONTH + Decimal(beyond) * STORAGE_USD_BEYOND
    return (usd / 10**9).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)


def _cents(seconds: float, usd_per_hour: Decimal) -> Decimal:
    """To a hundredth of a cent, as money is kept."""
    return (Decimal(seconds) / Decimal(3600) * usd_per_hour).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
