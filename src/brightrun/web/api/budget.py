"""The owner's budget over HTTP: what may be spent, what is, and when it would be crossed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from brightrun.database import budgets
from brightrun.jobs.month_budget import MonthBudget, month_budget
from brightrun.web.deps import PLAIN_JSON, Answer, CurrentPrincipal, StudioDep, Usd
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["budget"])


class BudgetChange(BaseModel):
    """Both amounts, as they are to be from now on; null takes one away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    monthly_budget_usd: Decimal | None = Field(
        ge=0,
        lt=10_000_000,
        decimal_places=4,
        description="Dollars per calendar month (UTC) over all jobs; null: the studio's setting.",
    )
    default_job_cap_usd: Decimal | None = Field(
        gt=0, lt=10_000_000, decimal_places=4, description="Cap of jobs that name none; null: they have none."
    )


class BudgetView(Answer):
    """Money of the month that is now."""

    object: Literal["training.budget"] = "training.budget"
    month: str = Field(examples=["2026-11"])
    starts_at: datetime
    ends_at: datetime
    monthly_budget_usd: Usd | None = Field(description="Absent: no limit.")
    is_default: bool = Field(description="The budget is the studio's setting, not the owner's own.")
    default_job_cap_usd: Usd | None
    spent_usd: Usd = Field(description="Machines' time within the month × their price.")
    spent_percent: float | None
    unpriced_leases: int = Field(description="Machines that ran this month and whose price nobody told.")
    reserved_usd: Usd = Field(description="What live jobs may still cost, by their caps, else by their estimates.")
    unestimated_jobs: int = Field(description="Live jobs of which nobody knows what they will cost.")
    remaining_usd: Usd | None = Field(description="What a new job may cost; below 0 where too much is promised.")
    usd_per_hour: Usd = Field(description="Of the machines that run now.")
    forecast_usd: Usd = Field(description="Spending of the month if live jobs cost what was estimated.")
    crosses_at: datetime | None = Field(description="When running jobs would cross the budget; absent: they do not.")

    @classmethod
    def of(cls, month: MonthBudget) -> BudgetView:
        return cls.model_validate(month)


@router.get("/budget", responses=declared(401, 403))
def show_budget(studio: StudioDep, principal: CurrentPrincipal) -> BudgetView:
    """What may be spent this month, what is spent and promised, and what is to come."""
    return BudgetView.of(month_budget(studio, owner_id=principal.owner_id))


@router.put("/budget", dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 413))
def change_budget(studio: StudioDep, principal: CurrentPrincipal, request: BudgetChange) -> BudgetView:
    """Set the budget. Jobs keep their caps; where the month is used up they stop, and their adapters come home."""
    with studio.database.session() as session:
        budgets.save(
            session, principal.owner_id, monthly_budget_usd=request.monthly_budget_usd,
            default_job_cap_usd=request.default_job_cap_usd,
            now=studio.clock(),
        )  # fmt: skip
    return BudgetView.of(month_budget(studio, owner_id=principal.owner_id))
