"""From past jobs to a better next plan: every attempt is measured, compared with its plan, and learned from."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.jobs.history import calibrate_plan, past_estimate_errors
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.job_plan import JobPlan, priced
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app
from tests.studio_world import OWNER, World
from tests.unit.job_plans import make_plan

PRICE = HourlyPrice(usd_per_hour=Decimal("3.60"), source="a test")


def run_planned(world: World, name: str, plan: JobPlan) -> None:
    """A job with that plan, run to its end on a simulated machine: 120 s of training, and what is around it."""
    world.add_job(name)
    with world.database.session() as session:
        jobs.change_if(session, name, expected=[JobStatus.QUEUED], plan=plan)
    world.live(until=world.at_rest, seconds=1)


def planned(**changes: object) -> JobPlan:
    return priced(make_plan(steps=12, **changes), PRICE)


def test_every_attempt_is_measured(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_planned(world, "job-1", planned())
    actuals = world.leases("job-1")[0].actuals
    assert actuals is not None
    assert actuals.seconds_by_phase["training"] == pytest.approx(120)
    assert actuals.seconds_by_phase["provisioning"] >= 30
    assert (actuals.steps, actuals.tokens, actuals.tokens_per_second) == (12, 12_000, 100.0)
    assert actuals.peak_memory_bytes == 2_100_000_000
    assert actuals.completed


def test_the_second_job_corrects_the_third(tmp_path: Path) -> None:
    """Training was expected to take 100 s and took 120: after one run the plan stays, after two it learns."""
    world = World(tmp_path)
    plan, settings = planned(), Hyperparameters()
    run_planned(world, "job-1", plan)
    assert calibrate_plan(world.studio, OWNER, plan, settings) == plan
    run_planned(world, "job-2", plan)
    better = calibrate_plan(world.studio, OWNER, plan, settings)
    assert better.phases["training"].expected_seconds == pytest.approx(100 * 1.2**0.5, rel=0.01)
    assert "corrected by 2 earlier runs: ×1.10" in better.phases["training"].obtained
    assert better.cost is not None

    run_planned(world, "job-3", better)
    newest = past_estimate_errors(world.studio, owner_id=OWNER)[0]
    assert newest.used_for_calibration == 2
    assert newest.training is not None
    assert newest.training.ratio == pytest.approx(1.2**0.5, rel=0.01)
    assert newest.ratios["training"] == pytest.approx(1.2, rel=0.01), "what is learned from is the first estimate"
    best = calibrate_plan(world.studio, OWNER, plan, settings)
    assert best.phases["training"].expected_seconds == pytest.approx(100 * 1.2 ** (3 / 5), rel=0.01)


def test_runs_of_another_kind_or_owner_teach_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(2):
        run_planned(world, f"job-{number}", planned())
    for plan, settings in (
        (planned(base_model="another"), Hyperparameters()),
        (planned(device_name="CPU (64 cores)"), Hyperparameters()),
        (planned(), Hyperparameters(quantization="nf4")),
    ):
        assert calibrate_plan(world.studio, OWNER, plan, settings) == plan
    assert calibrate_plan(world.studio, "somebody else", planned(), Hyperparameters()) == planned()
    assert past_estimate_errors(world.studio, owner_id="somebody else") == []


def test_jobs_that_cannot_be_compared_are_left_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_planned(world, "no-steps-alike", make_plan(steps=99))
    world.add_job("no-plan")
    world.live(until=world.at_rest)
    with world.database.session() as session:
        older = text("UPDATE training_jobs SET plan = :plan WHERE id = 'no-plan'")
        session.execute(older, {"plan": json.dumps({"steps": 12})})  # as a version before would have left it
    assert past_estimate_errors(world.studio, owner_id=OWNER) == []


def test_the_api_shows_figures_and_a_drawing(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = create_app(world.studio, LoopbackAccess(OWNER))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000)) as client:
        assert client.get("/api/training/estimate-accuracy").json() == {
            "object": "training.estimate_accuracy", "jobs": [], "summaries": [],
        }  # fmt: skip
        assert client.get("/api/training/estimate-accuracy.svg").status_code == 404
        run_planned(world, "job-1", planned())
        found = client.get("/api/training/estimate-accuracy").json()
        assert [job["job_id"] for job in found["jobs"]] == ["job-1"]
        assert found["jobs"][0]["training"]["actual"] == pytest.approx(120)
        assert {each["quantity"] for each in found["summaries"]} == {"duration", "training", "memory", "cost"}
        for quantity in ("duration", "memory", "cost"):
            drawn = client.get("/api/training/estimate-accuracy.svg", params={"quantity": quantity})
            assert drawn.headers["content-type"] == "image/svg+xml"
            assert "job-1" in drawn.text
        assert client.get("/api/training/estimate-accuracy.svg", params={"quantity": "luck"}).status_code == 422
