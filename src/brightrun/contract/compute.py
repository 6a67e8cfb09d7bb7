"""Where a job is to run, for how long and for how much: as it is asked for, and as it stands in the job's row."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ComputeRequest(BaseModel):
    """Where and how long a job may run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str | None = Field(
        None, max_length=64, description="local_process, static_worker, …; absent: the default."
    )
    gpu_type: str | None = Field(None, max_length=64, description="A GPU of the catalogue.")
    instance_type: Literal["on_demand", "spot"] = "on_demand"
    max_duration_hours: float | None = Field(None, gt=0, le=10_000)
    max_cost_usd: Decimal | None = Field(None, gt=0, le=1_000_000, description="The job stops there.")


class JobCompute(ComputeRequest):
    """What a job was submitted with; its provider is settled. What a newer studio wrote besides is passed over."""

    model_config = ConfigDict(extra="ignore")

    provider: str
