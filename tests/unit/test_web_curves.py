"""What a page with curves costs: every curve is read once, thinned once, and drawn once for each width."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from brightrun.charts import run_charts
from brightrun.charts.run_charts import MAX_POINTS
from brightrun.contract.states import JobStatus
from brightrun.database import metrics
from brightrun.jobs.studio import Studio
from brightrun.web.access import LoopbackAccess
from tests.unit.finished_job import add_curve
from tests.unit.web_studio import ME, START, a_client, a_job, a_studio

STEPS = 2 * MAX_POINTS


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with a_studio(tmp_path) as (studio, _):
        yield studio


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with a_client(studio, LoopbackAccess(ME)) as client:
        yield client


@pytest.fixture
def address(studio: Studio, request: pytest.FixtureRequest) -> str:
    """A page of one job, or of two beside each other; each has a long curve and validation losses."""
    job, other = (a_job(studio, status=JobStatus.TRAINING, started_at=START, total_steps=STEPS) for _ in range(2))
    for each in (job, other):
        add_curve(studio, each, STEPS)
    return str(request.param).format(job=job.id, other=other.id)


@contextmanager
def reads_of_curves() -> Iterator[list[tuple[str, Any]]]:
    """Every statement that reads points of curves, with its parameters, while the block lasts."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "training_metrics_history" in statement:
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Each call of a function of ours, which does what it always does."""
    calls: list[Any] = []
    real: Callable[..., Any] = getattr(module, name)

    def call(*given: Any, **named: Any) -> Any:
        calls.append((given, named))
        return real(*given, **named)

    monkeypatch.setattr(module, name, call)
    return calls


@pytest.mark.parametrize(
    ("address", "curves", "charts"),
    [
        ("/jobs/{job}", 2, 1),
        ("/jobs/{job}/curve", 2, 1),
        ("/jobs/{job}/curve?measure=grad_norm", 1, 1),
        ("/compare?job={job}&job={other}", 4, 2),
        ("/compare?job={job}&job={other}&measure=grad_norm", 2, 1),
        ("/jobs/{job}/now", 0, 0),
    ],
    indirect=["address"],
)
def test_a_page_reads_thins_and_draws_each_curve_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, address: str, curves: int, charts: int
) -> None:
    thinned = counted(monkeypatch, metrics, "thin")
    drawn = counted(monkeypatch, run_charts, "line_chart")
    with reads_of_curves() as reads:
        page = client.get(address, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert len(thinned) == curves
    assert len(reads) == 2 * curves  # where the curve begins and ends, then its points
    assert [read for read, times in Counter(map(repr, reads)).items() if times > 1] == []
    ids = [named["chart_id"] for _, named in drawn]
    assert len(ids) == len(set(ids)) == 2 * charts  # a wide page's drawing and a narrow one's
    assert sorted(re.findall(r'<svg[^>]*\bid="((?:curve|overlay)-[a-z-]+)"', page.text)) == sorted(ids)


@pytest.mark.parametrize("address", ["/jobs/{job}/curve"], indirect=True)
def test_both_widths_draw_the_points_that_were_read(studio: Studio, client: TestClient, address: str) -> None:
    page = client.get(address, headers={"accept": "text/html"}).text
    with studio.database.reading() as session:
        read = [step for step, _ in metrics.curve(session, address.split("/")[2], "train", MAX_POINTS)]
    shown = re.findall(r"each step&quot;.*?&quot;x&quot;:\[([\d,]+)\]", page)
    assert [[int(step) for step in steps.split(",")] for steps in shown] == [read, read]
    assert MAX_POINTS * 0.9 < len(read) <= MAX_POINTS


@pytest.mark.parametrize("by", ["loss", "grad_norm"])
@pytest.mark.parametrize("whole", [True, False], ids=["read whole", "read by blocks"])
def test_a_curve_is_the_series_with_one_measure(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, by: metrics.Measure, *, whole: bool
) -> None:
    job = a_job(studio)
    add_curve(studio, job, STEPS)
    if not whole:
        monkeypatch.setattr(metrics, "_READ_WHOLE", 0)
    with studio.database.reading() as session:
        series = metrics.series(session, job.id, "train", 40, by=by)
        assert metrics.curve(session, job.id, "train", 40, by=by) == [(at.step, getattr(at, by)) for at in series]
        assert metrics.curve(session, job.id, "validation", 40) == [(0, 3.0), (STEPS, 3 - STEPS / 200)]
        assert metrics.curve(session, "no such job", "train", 40) == []
