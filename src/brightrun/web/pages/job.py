"""The page of one job, live while it goes on: how far, what it costs, its curves, its events, what it delivered."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from brightrun.charts.gauges import cost_bar
from brightrun.charts.run_charts import MAX_POINTS, MEASURES, WIDTHS, measure_chart
from brightrun.database import files, metrics
from brightrun.database.metrics import Measure
from brightrun.database.tables import TrainingJob
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.web.deps import CurrentPrincipal, JobId, StudioDep
from brightrun.web.pages.format import usd
from brightrun.web.pages.job_facts import JobFacts, JobMoney, read_facts
from brightrun.web.pages.job_log import SHOWN, Show, read_log
from brightrun.web.pages.job_settings import FIRST_FIELDS, setting_fields, setting_rows
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False, prefix="/jobs/{job_id}")

Find = Annotated[str, Query(max_length=200)]


@router.get("")
def show_job(
    request: Request,
    studio: StudioDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    measure: Measure = "loss",
    show: Show = "important",
    find: Find = "",
) -> Response:
    """The whole page; its parts are those that are fetched alone while the job goes on."""
    facts = read_facts(studio, principal.owner_id, job_id)
    values = _now(facts) | _curve(studio, facts.row, measure)
    values |= _log(studio, principal.owner_id, job_id, show, find)
    values |= {"settings": setting_rows(facts.view.hyperparameters, facts.view.recipe), "spec": facts.row.spec}
    values |= {"validation_name": _validation_name(studio, facts.row)}
    values |= {"fields": setting_fields(facts.view.hyperparameters), "first_fields": FIRST_FIELDS}
    values |= {"cap": "" if facts.money.cap is None else f"{facts.money.cap.normalize():f}"}
    return page(request, "job.html", title=facts.view.name, active="jobs", **values)


@router.get("/now")
def show_now(request: Request, studio: StudioDep, principal: CurrentPrincipal, job_id: JobId) -> Response:
    """How far it is."""
    return page(request, "job_now.html", **_now(read_facts(studio, principal.owner_id, job_id)))


@router.get("/side")
def show_side(request: Request, studio: StudioDep, principal: CurrentPrincipal, job_id: JobId) -> Response:
    """What it costs, and where it runs."""
    return page(request, "job_side.html", **_now(read_facts(studio, principal.owner_id, job_id)))


@router.get("/curve")
def show_curve(
    request: Request, studio: StudioDep, principal: CurrentPrincipal, job_id: JobId, measure: Measure = "loss"
) -> Response:
    """One of its curves."""
    with studio.database.reading() as session:
        job = owned(session, principal.owner_id, job_id)
    return page(request, "job_curve.html", **_curve(studio, job, measure))


@router.get("/log")
def show_log(
    request: Request,
    studio: StudioDep,
    principal: CurrentPrincipal,
    job_id: JobId,
    show: Show = "important",
    find: Find = "",
) -> Response:
    """Its events."""
    return page(request, "job_log.html", **_log(studio, principal.owner_id, job_id, show, find))


def _validation_name(studio: Studio, job: TrainingJob) -> str | None:
    """What its validation dataset is called, where it has one."""
    if job.validation_file_id is None:
        return None
    with studio.database.reading() as session:
        return files.names(session, [job.validation_file_id]).get(job.validation_file_id)


def _now(facts: JobFacts) -> dict[str, Any]:
    return {"facts": facts, "job": facts.view, "money_chart": _money_chart(facts.money)}


def _money_chart(money: JobMoney) -> dict[str, str] | None:
    if not money.is_known:
        return None
    return {
        size: cost_bar(
            spent=_number(money.spent),
            expected=_number(money.expected),
            band=None if money.band is None else (float(money.band[0]), float(money.band[1])),
            cap=_number(money.cap),
            chart_id=f"cost-{size}",
            title="Cost so far, expected and cap",
            say=usd,
            width={"wide": 520, "narrow": WIDTHS["narrow"]}[size],
        )
        for size in WIDTHS
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _curve(studio: Studio, job: TrainingJob, measure: Measure) -> dict[str, Any]:
    with studio.database.reading() as session:
        train = metrics.curve(session, job.id, "train", MAX_POINTS, by=measure)
        validation = metrics.curve(session, job.id, "validation", MAX_POINTS) if measure == "loss" else []
    drawn = measure_chart(
        MEASURES[measure],
        train,
        validation,
        chart_id=f"curve-{measure.replace('_', '-')}",
        total_steps=job.total_steps,
    )
    return {
        "job_id": job.id,
        "measure": measure,
        "measures": MEASURES,
        "curve": drawn if train or validation else None,
        "job_is_over": job.status.is_terminal,
    }


def _log(studio: Studio, owner_id: str, job_id: str, show: Show, find: str) -> dict[str, Any]:
    lines = read_log(studio, owner_id, job_id, show=show, find=find)
    query = urlencode({"show": show, "find": find})
    return {"job_id": job_id, "lines": lines, "show": show, "shown": SHOWN, "find": find, "log_query": query}
