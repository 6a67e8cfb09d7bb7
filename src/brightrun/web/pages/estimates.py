"""Estimate and actual: how well past plans came true, what the next ones learn from it, and the month's budget."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.evaluation.gauges import cost_bar
from brightrun.evaluation.run_charts import WIDTHS
from brightrun.jobs.accuracy_chart import MOST_LINES, Quantity, accuracy_chart
from brightrun.jobs.history import past_accuracy
from brightrun.jobs.month_budget import MonthBudget, month_budget
from brightrun.planning.accuracy import JobAccuracy, summarise
from brightrun.planning.lessons import lessons
from brightrun.web.pages.rendering import page
from brightrun.web.pages.words import usd
from brightrun.web.parts import PersonPart, StudioPart

router = APIRouter(include_in_schema=False, prefix="/estimates")
QUANTITIES: dict[Quantity, str] = {"duration": "Time", "training": "Steps alone", "memory": "Memory", "cost": "Cost"}


@router.get("")
def show_estimates(
    request: Request, studio: StudioPart, person: PersonPart, quantity: Quantity = "duration"
) -> Response:
    """The page."""
    jobs = past_accuracy(studio, owner_id=person.owner_id)
    summaries = {each.quantity: each for each in summarise(jobs)}
    shown = quantity if quantity in summaries else "duration"
    return page(
        request, "estimates.html", title="Estimates", active="estimates", jobs=jobs, most=MOST_LINES,
        quantities={name: words for name, words in QUANTITIES.items() if name in summaries},
        quantity=shown, summary=summaries.get(shown), chart=_drawings(jobs, shown), lessons=lessons(jobs),
        **_money(month_budget(studio, owner_id=person.owner_id)),
    )  # fmt: skip


@router.get("/budget")
def show_budget(request: Request, studio: StudioPart, person: PersonPart) -> Response:
    """The month's money alone, while jobs spend it."""
    return page(request, "budget_now.html", **_money(month_budget(studio, owner_id=person.owner_id)))


def _drawings(jobs: list[JobAccuracy], quantity: Quantity) -> dict[str, str] | None:
    drawn = {
        size: accuracy_chart(jobs, quantity, width=width, chart_id=f"accuracy-{quantity}-{size}")
        for size, width in WIDTHS.items()
    }
    whole = {size: drawing for size, drawing in drawn.items() if drawing is not None}
    return whole or None


def _money(month: MonthBudget) -> dict[str, Any]:
    """The chart is absent where it would compare nothing: no budget, and nothing to come."""
    if not month.budget_usd and month.forecast_usd <= month.spent_usd:
        return {"month": month, "month_chart": None}
    chart = {
        size: cost_bar(
            spent=float(month.spent_usd), expected=float(month.forecast_usd), band=None,
            cap=None if month.budget_usd is None else float(month.budget_usd),
            chart_id=f"month-{size}", title="Spent this month, expected and budget", say=usd, width=width,
        )
        for size, width in WIDTHS.items()
    }  # fmt: skip
    return {"month": month, "month_chart": chart}
