"""Several runs beside each other: their curves overlaid, the settings that differ, what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from brightrun.charts.run_charts import MAX_POINTS, MEASURES, ChartedRun, overlay_chart
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_metrics import JobMetrics
from brightrun.database import jobs, metrics
from brightrun.database.metrics import Kind, Measure
from brightrun.database.tables import TrainingJob
from brightrun.errors import BrightRunError
from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.several_runs import best_run, same_prompts
from brightrun.format import spoken_value
from brightrun.jobs.ownership import owned
from brightrun.jobs.results import read_comparison
from brightrun.jobs.studio import Studio
from brightrun.web.deps import CurrentPrincipal, StudioDep
from brightrun.web.pages.job_facts import JobFacts, read_facts
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)

MOST, FEWEST = 4, 2
_NAME = 40
_PROMPTS = 8
JobIds = Annotated[list[Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,100}$")]], Query(alias="job", max_length=20)]


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of the runs. `label` tells it from the others in legends; `comparison` is None where there is none."""

    label: str
    facts: JobFacts
    comparison: Comparison | None
    peak_bytes: int | None
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class ComparedSetting:
    """A setting's value in each run, in their order."""

    name: str
    values: Sequence[str]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@router.get("/compare")
def show_compare(
    request: Request,
    studio: StudioDep,
    principal: CurrentPrincipal,
    chosen: JobIds = [],  # noqa: B006 - read only; what FastAPI wants
    measure: Measure = "loss",
) -> Response:
    """The runs that were chosen; with fewer than two or more than four, the choice."""
    ids = list(dict.fromkeys(chosen))
    with studio.database.reading() as session:
        rows = [owned(session, principal.owner_id, job_id) for job_id in ids]
        newest = jobs.list_page(session, owner_id=principal.owner_id, limit=50).items
    choice = [*rows, *(row for row in newest if row.id not in ids)]
    values: dict[str, Any] = {"title": "Compare runs", "active": "jobs", "choice": choice, "ids": ids}
    if not FEWEST <= len(ids) <= MOST:
        return page(request, "compare_choose.html", **values, many=len(ids) > MOST, most=MOST)
    labels = _labels(rows)
    runs = [_run(studio, principal.owner_id, row.id, labels[row.id]) for row in rows]
    values |= {"runs": runs, "measure": measure, "measures": MEASURES, "most": MOST}
    compared = [run.comparison for run in runs]
    values |= {"best": best_run(compared), "prompts": same_prompts(compared)[:_PROMPTS]}
    values |= {"settings": compared_settings([row.hyperparameters for row in rows]), "facts": _facts(rows)}
    return page(request, "compare.html", **values, charts=_charts(studio, rows, labels, measure))


def compared_settings(settings: Sequence[Mapping[str, Any]]) -> list[ComparedSetting]:
    """Every setting of the contract, those that differ first."""
    found = [
        ComparedSetting(name, [spoken_value(one[name]) if name in one else "—" for one in settings])
        for name in Hyperparameters.model_fields
    ]
    return sorted(found, key=lambda one: not one.differs)


def _facts(rows: Sequence[TrainingJob]) -> list[ComparedSetting]:
    """What a run was made from, beside its settings."""
    return [
        ComparedSetting("Dataset", [str(row.spec["dataset"]["source_name"]) for row in rows]),
        ComparedSetting("Dataset's bytes (sha256)", [str(row.spec["dataset"]["source_sha256"])[:12] for row in rows]),
        ComparedSetting("Validation split", [str(row.spec["dataset"]["split_sha256"])[:12] for row in rows]),
        ComparedSetting("Base model", [row.base_model for row in rows]),
        ComparedSetting("Recipe", [row.recipe for row in rows]),
    ]


def _labels(rows: Sequence[TrainingJob]) -> dict[str, str]:
    """Names, with the beginning of the id where two are called the same."""
    names = [row.name for row in rows]
    return {
        row.id: f"{row.name[:_NAME]} ({row.id[:8]})" if names.count(row.name) > 1 else row.name[:_NAME] for row in rows
    }


def _run(studio: Studio, owner_id: str, job_id: str, label: str) -> ComparedRun:
    facts = read_facts(studio, owner_id, job_id)
    told = facts.view.metrics or JobMetrics()
    try:
        comparison = read_comparison(studio, job_id)
    except BrightRunError:  # one run whose files are gone does not hide the others
        comparison = None
    return ComparedRun(
        label,
        facts,
        comparison,
        peak_bytes=told.memory_bytes,
        tokens_per_second=told.tokens_per_second,
    )


def _charts(
    studio: Studio, rows: Sequence[TrainingJob], labels: Mapping[str, str], measure: Measure
) -> list[tuple[str, dict[str, str]]]:
    shown: list[tuple[str, Kind]] = [("Training loss" if measure == "loss" else MEASURES[measure].label, "train")]
    shown += [("Validation loss", "validation")] if measure == "loss" else []
    drawn = []
    with studio.database.reading() as session:
        for heading, kind in shown:
            curves = [metrics.curve(session, row.id, kind, MAX_POINTS, by=measure) for row in rows]
            if any(curves):
                runs = [ChartedRun(labels[row.id], curve) for row, curve in zip(rows, curves, strict=True)]
                name = f"overlay-{measure}-{kind}".replace("_", "-")
                drawn.append((heading, overlay_chart(MEASURES[measure], runs, chart_id=name, what=heading)))
    return drawn
