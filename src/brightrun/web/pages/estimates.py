"""Estimate and actual: how well past plans came true, what the next ones learn from it, and the month's budget."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.charts.gauges import cost_bar
from brightrun.charts.run_charts import WIDTHS
from brightrun.jobs.estimate_chart import MAX_LINES, Quantity, estimate_errors_chart
from brightrun.jobs.history import past_estimate_errors
from brightrun.jobs.month_budget import MonthBudget, month_budget
from brightrun.planning.calibration_summary import summarize_calibration
from brightrun.planning.estimate_error import JobEstimateError, summarize
from brightrun.web.deps import CurrentPrincipal, StudioDep
from brightrun.web.pages.format import usd
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False, prefix="/estimates")
QUANTITIES: dict[Quantity, str] = {"duration": "Time", "training": "Steps alone", "memory": "Memory", "cost": "Cost"}


@router.get("")
def show_estimates(
    request: Request, studio: StudioDep, principal: CurrentPrincipal, quantity: Quantity = "duration"
) -> Response:
    """The page."""
    jobs = past_estimate_errors(studio, owner_id=principal.owner_id)
    summaries = {each.quantity: each for each in summarize(jobs)}
    shown = quantity if quantity in summaries else "duration"
    return page(
        request, "estimates.html", title="Estimates", active="estimates", jobs=jobs, most=MAX_LINES,
        quantities={name: words for name, words in QUANTITIES.items() if name in summaries},
        quantity=shown, summary=summaries.get(shown), chart=_drawings(jobs, shown),
        calibration_summaries=summarize_calibration(jobs),
        **_money(month_budget(studio, owner_id=principal.owner_id)),
    )  # fmt: skip


@router.get("/budget")
def show_budget(request: Request, studio: StudioDep, principal: CurrentPrincipal) -> Response:
    """The month's money alone, while jobs spend it."""
    return page(request, "budget_now.html", **_money(month_budget(studio, owner_id=principal.owner_id)))


def _drawings(jobs: list[JobEstimateError], quantity: Quantity) -> dict[str, str] | None:
    drawn = {
        size: estimate_errors_chart(jobs, quantity, width=width, chart_id=f"accuracy-{quantity}-{size}")
        for size, width in WIDTHS.items()
    }
    whole = {size: drawing for size, drawing in drawn.items() if drawing is not None}
    return whole or None


def _money(month: MonthBudget) -> dict[str, Any]:
    """The chart is absent where it would compare nothing: no budget, and nothing to come."""
    if not month.monthly_budget_usd and month.forecast_usd <= month.spent_usd:
        return {"month": month, "month_chart": None}
    chart = {
        size: cost_bar(
            spent=float(month.spent_usd), expected=float(month.forecast_usd), band=None,
            cap=None if month.monthly_budget_usd is None else float(month.monthly_budget_usd),
            chart_id=f"month-{size}", title="Spent this month, expected and budget", say=usd, width=width,
        )
        for size, width in WIDTHS.items()
    }  # fmt: skip
    return {"month": month, "month_chart": chart}
