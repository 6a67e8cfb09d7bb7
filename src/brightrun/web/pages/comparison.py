"""Before and after: what the base and the tuned model of a job scored and said, and a prompt of one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.charts.matrix import matrix
from brightrun.charts.run_charts import WIDTHS
from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.measurements import AnswerScore, SampleAnswer
from brightrun.evaluation.report import group_view, sample_views
from brightrun.jobs.ownership import owned
from brightrun.jobs.results import read_comparison
from brightrun.web.api.chat import PlaygroundDep, chat_state
from brightrun.web.api.schemas import JobView
from brightrun.web.deps import CurrentPrincipal, JobId, StudioDep
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/jobs/{job_id}/comparison")
def show_comparison(
    request: Request, studio: StudioDep, principal: CurrentPrincipal, playground: PlaygroundDep, job_id: JobId
) -> Response:
    """The page; a job that has delivered no comparison says so."""
    with studio.database.reading() as session:
        job = JobView.of(owned(session, principal.owner_id, job_id))
    comparison = read_comparison(studio, job_id)
    values: dict[str, Any] = {"title": f"{job.name}: before and after", "active": "jobs", "job": job}
    if comparison is None:
        return page(request, "comparison_none.html", **values)
    values |= {"chat": chat_state(studio, playground, principal.owner_id, job_id), "system": _instructions(comparison)}
    return page(request, "comparison.html", **values, **_shown(comparison))


def _shown(comparison: Comparison) -> dict[str, Any]:
    return {
        "comparison": comparison,
        "overall": comparison.overall,
        "groups": [group_view("persona", comparison.by_persona), group_view("arc", comparison.by_arc)],
        "coverage": _coverage(comparison.scores),
        "samples": sample_views(comparison),
        "same_texts": sum(sample.base.text == sample.tuned.text for sample in comparison.samples),
    }


def _coverage(scores: Sequence[AnswerScore]) -> dict[str, str] | None:
    """How many validation answers are behind each persona and arc; None where none carries both labels."""
    counts = Counter((score.persona, score.arc) for score in scores if score.persona and score.arc)
    if not counts:
        return None
    known = {(str(persona), str(arc)): count for (persona, arc), count in counts.items()}
    return {
        size: matrix(
            known,
            chart_id=f"coverage-{size}",
            title="Validation answers by persona and arc",
            sides=("persona", "arc"),
            noun="answer",
            width=width,
        )
        for size, width in WIDTHS.items()
    }


def _instructions(comparison: Comparison) -> str:
    """The dataset's own, as the first prompt has them."""
    first: SampleAnswer | None = next(iter(comparison.samples), None)
    opening = {} if first is None else first.prompt[0]
    return opening.get("content", "") if opening.get("role") == "system" else ""
