"""The form that starts a training: what it offers, what it says of a plan, and that it refuses as submitting would."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.compute import ComputeRequest
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.states import JobStatus
from brightrun.database import budgets
from brightrun.errors import NotFound
from brightrun.format import about_text
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.cache import Cache
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest, plan_job
from brightrun.web.pages.start_form import recipe_choices, start_form
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_client, a_file, a_job, a_studio

HTML = {"accept": "text/html"}
LLAMA = "llama-3.1-8b-instruct"
"""Planned without being pulled: its tokenizer comes with the package."""


@pytest.fixture
def trained(tmp_path: Path, tiny_model: Path) -> Iterator[Studio]:
    """A studio with the tiny model pulled."""
    with a_studio(tmp_path, models=tiny_model.parent) as (studio, _):
        yield studio


def stored(studio: Studio, path: Path) -> str:
    return add_dataset(studio, owner_id=ME, file_name=path.name, source=path).id


def review(client: TestClient, file_id: str, **request: Any) -> str:
    """The fragment as text, its character references resolved."""
    body = {"training_file_id": file_id, "base_model": LLAMA, **request}
    answer = client.post("/start/review", json=body)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def may_start(text: str) -> bool:
    return re.findall(r'data-may-start="(\w+)"', text) == ["yes"]


def fixes(text: str) -> list[dict[str, Any]]:
    return [json.loads(told) for told in re.findall(r'data-fix="(\{.*?\})">', text)]


def test_without_a_dataset_the_way_to_one_is_shown(client: TestClient) -> None:
    shown = client.get("/start", headers=HTML).text
    assert 'href="/datasets"' in shown
    assert "data-start" in shown
    assert "<form" not in shown.split("<main")[1]


def test_the_form_offers_what_the_api_takes(studio: Studio, client: TestClient) -> None:
    file = a_file(studio)
    shown = client.get("/start", headers=HTML).text.split("<main")[1]
    names = set(re.findall(r'\bname="(\w+)"', shown))
    request = {"training_file_id", "base_model", "recipe", "name", "provider", "gpu_type", "instance_type"}
    choices = {"validation", "max_cost_usd", "max_duration_hours"}  # no dataset is fit for validation
    assert names == request | choices | set(Hyperparameters.model_fields)
    assert f'value="{file.id}" disabled' in shown  # it was never audited: nothing may be trained on it
    assert 'max="512"' in shown
    assert "Rank of the adapter: how much it can store." in shown
    for place in names - {"recipe", "training_file_id", "validation"}:
        assert f'data-wrong="{place}"' in shown
    assert 'data-wrong="training_file_id"' in shown


def test_every_form_has_a_key_of_its_own(studio: Studio, client: TestClient) -> None:
    a_file(studio)
    keys = [re.findall(r'data-key="([0-9a-f-]{36})"', client.get("/start", headers=HTML).text) for _ in range(2)]
    assert [len(found) for found in keys] == [1, 1]
    assert keys[0] != keys[1]


def test_recipes_tell_every_setting_as_the_fields_have_it() -> None:
    choices = {choice.name: json.loads(choice.settings) for choice in recipe_choices()}
    assert list(choices) == ["conservative", "balanced", "aggressive", "quickstart"]
    for settings in choices.values():
        assert set(settings) == set(Hyperparameters.model_fields)
    assert (choices["balanced"]["learning_rate"], choices["balanced"]["max_steps"]) == ("0.0002", "")
    assert (choices["conservative"]["r"], choices["aggressive"]["packing"]) == ("8", "true")


def test_a_dataset_is_shown_as_text_and_others_are_not_shown(studio: Studio, client: TestClient) -> None:
    a_file(studio, name="<img src=x onerror=alert(1)>.json")
    other = a_file(studio, owner_id=SOMEBODY_ELSE, name="not yours.json")
    shown = client.get("/start", headers=HTML).text
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;.json" in shown
    assert "not yours" not in shown
    assert client.get("/start", params={"dataset": other.id}, headers=HTML).status_code == 404
    assert client.post("/start/review", json={"training_file_id": other.id, "base_model": LLAMA}).status_code == 404


def test_an_ended_job_is_tried_again_as_it_was(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, status=JobStatus.FAILED)
    form = start_form(studio, ME, dataset=None, retry_of=job.id)
    assert form.retry == f"/api/training/jobs/{job.id}/retry"
    assert [each.name for each in form.recipes] == ["balanced"]
    assert form.dataset_id == job.training_file_id
    shown = client.get("/start", params={"retry_of": job.id}, headers=HTML).text
    assert f'data-retry="/api/training/jobs/{job.id}/retry"' in shown
    assert "Start it again" in shown
    other = a_job(studio, owner_id=SOMEBODY_ELSE, status=JobStatus.FAILED)
    assert client.get("/start", params={"retry_of": other.id}, headers=HTML).status_code == 404


def test_the_settings_of_a_completed_job_begin_one_of_its_own(studio: Studio) -> None:
    settings = Hyperparameters(r=64, max_seq_length=768).model_dump(mode="json")
    job = a_job(studio, status=JobStatus.COMPLETED, attempt=0)
    with studio.database.session() as session:
        session.merge(job).hyperparameters = settings
    form = start_form(studio, ME, dataset=None, retry_of=job.id)
    assert form.retry is None
    assert len(form.recipes) == 4
    values = {field.name: field.value for _, fields in form.groups for field in fields}
    assert (values["r"], values["max_seq_length"]) == ("64", "")


def test_a_setting_out_of_bounds_is_told_beside_its_field(
    studio: Studio, client: TestClient, sample_dataset: Path
) -> None:
    body = {
        "training_file_id": stored(studio, sample_dataset),
        "base_model": LLAMA,
        "hyperparameters": {"r": 0, "learning_rate": 5, "num_epochs": "not a number"},
    }
    error = client.post("/start/review", json=body).json()["error"]
    told = {each["param"]: each["message"] for each in error["details"]["errors"]}
    assert told == {
        "hyperparameters.r": "Must be a whole number at least 1 and at most 512.",
        "hyperparameters.learning_rate": "Must be a number above 0 and at most 1.0.",
        "hyperparameters.num_epochs": "Must be a number above 0 and at most 100.",
    }
    assert error["param"] == "hyperparameters.r"
    assert error["code"] == "invalid_hyperparameter"
    long = client.post("/start/review", json=body | {"hyperparameters": {"max_seq_length": 10**6}}).json()["error"]
    assert long["param"] == "hyperparameters.max_seq_length"
    cap = client.post("/start/review", json=body | {"hyperparameters": {}, "compute": {"max_cost_usd": -1}})
    assert cap.json()["error"]["details"]["errors"][0]["param"] == "compute.max_cost_usd"


def test_what_is_not_pulled_is_planned_and_not_started(
    studio: Studio, client: TestClient, sample_dataset: Path
) -> None:
    shown = review(client, stored(studio, sample_dataset), compute={"gpu_type": "h100-sxm"})
    assert not may_start(shown)
    assert f"brightrun model pull {LLAMA}" in shown
    assert "Memory on NVIDIA H100 SXM 80 GB" in shown
    assert "It cannot start like this" not in shown  # nothing here would help


def test_the_figures_are_those_of_the_api(trained: Studio, sample_dataset: Path) -> None:
    request = {"base_model": "tiny-llama", "compute": {"gpu_type": "h100-sxm"}}
    with a_client(trained) as client:
        file_id = stored(trained, sample_dataset)
        told = client.post("/api/training/plan", json={"training_file_id": file_id, **request}).json()
        shown = review(client, file_id, **request)
    plan = told["plan"]
    assert may_start(shown)
    assert f'<dd class="big">{about_text(plan["duration"]["expected_seconds"])}</dd>' in shown
    assert f'<dd class="big">{plan["tokens_total"]:,}</dd>' in shown
    assert f'<dd class="big">{plan["steps"]:,}</dd>' in shown
    assert f"needs {plan['memory']['total_bytes'] / 1e9:.1f} GB of 85.5 GB" in shown
    assert "$2.50 an hour, as it was set for simulated" in shown
    assert shown.count('data-label="Fits"') == len(told["gpus"])


@pytest.mark.parametrize(
    ("month", "default_job_cap", "cap", "starts", "said"),
    [
        (None, None, None, True, "No limit set: it runs until finished"),
        (None, None, "3", True, "at $3.00"),
        (None, "2", None, True, "at $2.00"),
        ("50", None, "3", True, "$50.00 of the $50.00 for 2096-11 are left"),
        (None, None, "0.0001", False, "The cap of $0.0001 is less than"),
        (None, "0.0001", None, False, "Your default cap of $0.0001 is less than"),
        ("0", None, None, False, "$0.00 of the $0.00 for 2096-11 are left"),
    ],
)
def test_the_money_is_as_submitting_settles_it(
    trained: Studio,
    sample_dataset: Path,
    month: str | None,
    default_job_cap: str | None,
    cap: str | None,
    starts: bool,
    said: str,
) -> None:
    usd = {"monthly_budget_usd": month, "default_job_cap_usd": default_job_cap}
    with trained.database.session() as session:
        amounts: dict[str, Any] = {name: None if text is None else Decimal(text) for name, text in usd.items()}
        budgets.save(session, ME, **amounts, now=trained.clock())
    request = {"base_model": "tiny-llama", "compute": {"gpu_type": "h100-sxm"} | ({"max_cost_usd": cap} if cap else {})}
    with a_client(trained) as client:
        file_id = stored(trained, sample_dataset)
        shown = review(client, file_id, **request)
        started = client.post("/api/training/start-job", json={"training_file_id": file_id, **request})
    assert said in shown
    assert may_start(shown) is starts
    assert (started.status_code == 201) is starts
    if default_job_cap == "0.0001":
        assert any("max_cost_usd" in fix.get("compute", {}) for fix in fixes(shown))


def test_without_a_price_there_is_no_figure_and_no_cap(trained: Studio, sample_dataset: Path) -> None:
    with a_client(replace(trained, usd_per_hour={})) as client:
        file_id = stored(trained, sample_dataset)
        free = review(client, file_id, base_model="tiny-llama")
        capped = review(client, file_id, base_model="tiny-llama", compute={"max_cost_usd": 5})
        listed = review(client, file_id, base_model="tiny-llama", compute={"gpu_type": "h100-sxm"})
        request = {"base_model": "tiny-llama", "compute": {"gpu_type": "h100-sxm", "max_cost_usd": 5}}
        listed_capped = review(client, file_id, **request)
        started = client.post("/api/training/start-job", json={"training_file_id": file_id, **request})
    assert may_start(free)
    assert '<dd class="big">not known</dd>' in free
    assert "$" not in free.split("The same job on rented GPUs")[0]
    assert not may_start(capped)
    assert "cannot be kept without a price" in capped
    assert "nothing else stops it" not in capped
    assert {"compute": {"max_cost_usd": None}} in fixes(capped)
    assert "others' price for this card" in listed
    assert not may_start(listed_capped), "what others pay is no price that a cap could be kept by"
    assert started.json()["error"]["code"] == "price_unknown"


def test_what_does_not_fit_says_so_and_offers_the_fix(studio: Studio, client: TestClient, sample_dataset: Path) -> None:
    request = {"base_model": "llama-3-70b-instruct", "compute": {"gpu_type": "rtx-4090"}}
    shown = review(client, stored(studio, sample_dataset), **request)
    assert not may_start(shown)
    assert "Does not fit" in shown
    assert any("gpu_type" in fix.get("compute", {}) for fix in fixes(shown))


def test_a_limit_in_hours_that_is_too_short_is_in_the_way(trained: Studio, sample_dataset: Path) -> None:
    request = {"base_model": "tiny-llama", "compute": {"gpu_type": "h100-sxm", "max_duration_hours": 0.0001}}
    with a_client(trained) as client:
        file_id = stored(trained, sample_dataset)
        shown = review(client, file_id, **request)
        started = client.post("/api/training/start-job", json={"training_file_id": file_id, **request})
        (fix,) = fixes(shown)
        repaired = review(client, file_id, base_model="tiny-llama", compute=request["compute"] | fix["compute"])
    assert not may_start(shown)
    assert started.status_code == 422
    assert may_start(repaired)
    assert f"or after {fix['compute']['max_duration_hours']:g} hours" in repaired.replace(
        "It stops</b> after", "or after"
    )


def test_what_cannot_be_planned_says_why(studio: Studio, client: TestClient, sample_dataset: Path) -> None:
    shown = review(client, stored(studio, sample_dataset), base_model="smollm2-135m-instruct")
    assert "The tokenizer of smollm2-135m-instruct is not on this machine." in shown
    assert "brightrun model pull smollm2-135m-instruct" in shown
    assert "data-plan" not in shown


def test_the_same_key_starts_one_job(trained: Studio, sample_dataset: Path) -> None:
    body = {"training_file_id": stored(trained, sample_dataset), "base_model": "tiny-llama"}
    with a_client(trained) as client:
        first, second = (
            client.post("/api/training/start-job", json=body, headers={"idempotency-key": "a-form"}).json()
            for _ in range(2)
        )
        job_id = first["training_job_id"]
        assert second["training_job_id"] == job_id
        client.delete(f"/api/training/jobs/{job_id}")
        retry = f"/api/training/jobs/{job_id}/retry"
        once, twice = (client.post(retry, json={}, headers={"idempotency-key": "again"}).json() for _ in range(2))
        other = client.post(retry, json={"hyperparameters": {"r": 4}}, headers={"idempotency-key": "again"})
    assert once["retry_of"] == job_id
    assert once["id"] == twice["id"] != job_id
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


def test_the_scripts_of_the_form_name_what_is_in_it(studio: Studio, client: TestClient) -> None:
    """Each place that the script looks for is one that the page has."""
    a_file(studio)
    shown = client.get("/start", headers=HTML).text
    script = files("brightrun.web").joinpath("static", "start.js").read_text(encoding="utf-8")
    wanted = set(re.findall(r'querySelector\("\[(data-[a-z-]+)\]"\)', script)) - {"data-plan"}
    assert wanted >= {"data-review", "data-status", "data-said", "data-go", "data-advanced", "data-as-recipe"}
    for place in wanted:
        assert place in shown


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 4},
        {"seed": 7},
        {"example_unit": "answer"},
        {"sample_answers": 2},
        {"validation_fraction": 0.45},
        {"max_seq_length": 500, "overlength_policy": "drop"},
    ],
)
def test_what_was_counted_before_changes_no_plan(
    studio: Studio, sample_dataset: Path, settings: dict[str, Any]
) -> None:
    file_id = stored(studio, sample_dataset)
    usual = JobRequest(training_file_id=file_id, base_model=LLAMA, compute=ComputeRequest(gpu_type="h100-sxm"))
    request = usual.model_copy(update={"hyperparameters": settings})
    before = plan_job(studio, usual, owner_id=ME)
    again, anew = (plan_job(each, request, owner_id=ME) for each in (studio, replace(studio, cache=Cache())))
    assert again.plan == anew.plan != before.plan
    assert again.hyperparameters == anew.hyperparameters
    with pytest.raises(NotFound):
        plan_job(studio, request, owner_id=SOMEBODY_ELSE)


def test_only_the_last_things_are_kept() -> None:
    kept, made = Cache(most=2), []
    for name in ("a", "b", "a", "c", "a", "b"):
        assert kept.get(name, lambda name=name: made.append(name) or name) == name
    assert made == ["a", "b", "c", "b"]


def test_a_verdict_that_is_impossible_is_a_warning_with_a_way_out(
    studio: Studio, client: TestClient, tmp_path: Path, sample_dataset: Path
) -> None:
    document = json.loads(sample_dataset.read_text("utf-8"))
    small = tmp_path / "small.json"
    small.write_text(json.dumps({**document, "conversations": document["conversations"][:18]}), "utf-8")
    few, enough = (review(client, stored(studio, path)) for path in (small, sample_dataset))
    assert "6 are needed, so it will be “Too few to say”" in few
    assert "The verdict will rest on 8 conversations; it could tell a change of about 4 % from chance." in enough
    assert not [fix for fix in fixes(enough) if "hyperparameters" in fix]
    [fix] = [each for each in fixes(few) if "hyperparameters" in each]
    with_it = review(client, stored(studio, small), **fix)
    assert "The verdict will rest on" in with_it
    assert "Too few to say" not in with_it
