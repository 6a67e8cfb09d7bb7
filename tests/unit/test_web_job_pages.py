"""The pages of a job, of its before and after, and of runs beside each other: true, safe, and only the owner's."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from brightrun.compute.chat_process import ChatProcess
from brightrun.contract.event_data import read_data
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_metrics import JobMetrics
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts, events, jobs
from brightrun.database.tables import TrainingJob
from brightrun.jobs.studio import Studio
from brightrun.web.pages.compare import compared_settings
from brightrun.web.pages.job_facts import STAGES, stages, time_left
from brightrun.web.pages.job_settings import setting_fields, setting_rows
from tests.unit.finished_job import a_finished_job, add_curve, keep
from tests.unit.job_plans import make_plan, seconds
from tests.unit.run_reports import report
from tests.unit.test_jobs_playground import PROGRAM, pulled
from tests.unit.web_studio import SOMEBODY_ELSE, START, HandClock, a_client, a_job, a_studio, end, tell

HTML = {"accept": "text/html,*/*"}
HOSTILE = '"></title></script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }}'
PAGES = ("", "/now", "/side", "/curve", "/log", "/comparison")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Studio, HandClock]]:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    with a_studio(tmp_path) as (studio, clock):
        studio.home.mkdir()
        yield replace(studio, open_chat=lambda run: ChatProcess(run, command=(sys.executable, str(script)))), clock


@pytest.fixture
def studio(world: tuple[Studio, HandClock]) -> Studio:
    return world[0]


class Shown(HTMLParser):
    """A page's tags with their attributes, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)
        self.words = re.sub(r"\s+", " ", self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]

    def having(self, attribute: str) -> list[str]:
        return [str(found[attribute]) for _, found in self.tags if attribute in found]


def look(client: TestClient, path: str, status: int = 200) -> Shown:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"].startswith("text/html")
    page = Shown(answer.text)
    for tag, attributes in page.tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    return page


# Every page


@pytest.mark.parametrize("part", PAGES)
@pytest.mark.parametrize("status", list(JobStatus))
def test_every_part_of_a_job_draws_in_every_state(
    studio: Studio, client: TestClient, part: str, status: JobStatus
) -> None:
    job = a_job(studio, status=status, attempt=0)
    assert look(client, f"/jobs/{job.id}{part}").words.strip()


@pytest.mark.parametrize("part", PAGES)
def test_what_belongs_to_somebody_else_is_not_found(studio: Studio, client: TestClient, part: str) -> None:
    job = a_finished_job(studio, owner_id=SOMEBODY_ELSE)
    look(client, f"/jobs/{job.id}{part}", 404)
    mine = a_job(studio)
    look(client, f"/compare?job={mine.id}&job={job.id}", 404)
    for path in ("metrics.csv", "chat"):
        assert client.get(f"/api/training/jobs/{job.id}/{path}").status_code == 404


@pytest.mark.parametrize("query", ["measure=spleen", "show=nothing", f"find={'x' * 201}"])
def test_a_question_that_makes_no_sense_is_refused(studio: Studio, client: TestClient, query: str) -> None:
    look(client, f"/jobs/{a_job(studio).id}?{query}", 422)


def test_whatever_people_and_models_wrote_is_shown_as_text(studio: Studio, client: TestClient) -> None:
    job = a_finished_job(studio, words=HOSTILE)
    rename(studio, job, HOSTILE)
    add_curve(studio, job, 30)
    tell(studio, job, HOSTILE)
    other = a_job(studio)
    rename(studio, other, HOSTILE + "2")
    pulled(studio)
    for path in (f"/jobs/{job.id}", f"/jobs/{job.id}/comparison", f"/compare?job={job.id}&job={other.id}", "/compare"):
        page = look(client, path)
        assert "<script>alert(1)</script>" in page.words
        assert "{{ 7*7 }}" in page.words
        assert not page.all("img")


def rename(studio: Studio, job: TrainingJob, name: str) -> None:
    with studio.database.session() as session:
        jobs.change_if(session, job.id, expected=list(JobStatus), name=name)


# The job


def test_a_running_job_shows_how_far_it_is_and_where_news_come_from(
    world: tuple[Studio, HandClock], client: TestClient
) -> None:
    studio, clock = world
    told = {
        "loss": 2.3456,
        "validation_loss": 2.5,
        "base_validation_loss": 3.0,
        "seconds_left": 150,
        "tokens_per_second": 912,
    }
    job = a_job(studio, current_step=30, total_steps=120, metrics=told, started_at=START, job_cap_usd=Decimal("2"))
    lease(studio, job, "0.60")
    clock.forward(minutes=30)
    last = tell(studio, job, "Half of the way is done.")
    page = look(client, f"/jobs/{job.id}")
    for words in (
        "step 30 of 120",
        "2 min 30 s",
        "of the steps alone",
        "2.346",
        "2.500",
        "base: 3.000",
        "912 tokens/s",
    ):
        assert words in page.words
    assert "Spent: $0.30" in page.words
    assert "Cap: $2.00" in page.words
    assert "Half of the way is done." in page.words
    assert page.all("progress", value="250", max="1000")
    streams = set(page.having("data-stream"))
    assert streams == {f"/api/training/jobs/{job.id}/events/stream?data=false&after={last}"}
    assert page.having("data-title") == ["25 % · A job: first, try"]
    for path in page.having("data-live"):
        look(client, path)


def lease(studio: Studio, job: TrainingJob, price: str | None) -> None:
    with studio.database.session() as session:
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        attempts.save(
            session, attempt.id, launched_at=START, price_usd_per_hour=None if price is None else Decimal(price)
        )


def test_a_job_whose_machine_has_no_price_has_no_figure(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    lease(studio, job, None)
    page = look(client, f"/jobs/{job.id}/side")
    assert "No hourly price is set for this machine" in page.words
    assert "$0.00" not in page.words


def test_an_ended_job_is_not_asked_after_any_more(studio: Studio, client: TestClient) -> None:
    job = a_finished_job(studio)
    page = look(client, f"/jobs/{job.id}")
    assert page.having("data-stream") == []
    assert page.having("data-every") == []
    assert len(page.having("data-over")) == 1
    assert not page.all("button", **{"data-open": "cancel"})
    assert page.all("a", href=f"/jobs/{job.id}/comparison")


def test_a_failed_job_says_why_and_how_to_go_on(studio: Studio, client: TestClient) -> None:
    reason = EndReason.OUT_OF_MEMORY
    job = a_job(studio, current_step=7, total_steps=10, message="Not enough memory at step 7.", hint=reason.text.hint)
    tell(studio, job, "Training.")
    end(studio, job, JobStatus.FAILED, reason)
    page = look(client, f"/jobs/{job.id}")
    assert "Not enough memory at step 7." in page.words
    assert reason.text.hint in page.words
    assert page.all("button", **{"data-open": "retry"})
    assert page.having("data-retry") == [f"/api/training/jobs/{job.id}/retry"]
    ended = page.all("li", **{"class": "ended"})
    assert len(ended) == 1
    assert "Training, ended here" in page.words


def test_a_retry_shows_the_cap_that_was(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, job_cap_usd=Decimal("10.5000"))
    end(studio, job, JobStatus.FAILED, EndReason.BUDGET_REACHED)
    page = look(client, f"/jobs/{job.id}")
    (cap,) = page.all("input", name="max_cost_usd")
    assert (cap["value"], cap["data-was"]) == ("10.5", "10.5")
    for name in ("num_epochs", "target_modules"):
        assert len(page.all("input", name=name)) == 1


def test_what_cannot_be_fixed_by_trying_again_offers_no_retry(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    end(studio, job, JobStatus.FAILED, EndReason.DATASET_REJECTED)
    assert not look(client, f"/jobs/{job.id}").having("data-retry")


def test_downloads_have_their_sizes_and_hashes(studio: Studio, client: TestClient) -> None:
    job = a_finished_job(studio)
    page = look(client, f"/jobs/{job.id}")
    listed = {row["name"]: row for row in client.get(f"/api/training/jobs/{job.id}/artifacts").json()["data"]}
    assert listed["adapter/adapter_model.safetensors"]["sha256"] in page.words
    size = sum(row["bytes"] for name, row in listed.items() if name.startswith("adapter/"))
    assert f"{size / 1024:.1f} KiB" in page.words
    links = [str(link["href"]) for link in page.all("a") if "download" in link]
    assert f"/api/training/jobs/{job.id}/adapter.zip" in links
    for link in links:
        assert client.get(link).status_code in {200, 302}, link


def test_an_adapter_of_a_job_that_did_not_complete_is_called_unverified(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, lora_artifact_path="lora_adapters/x/")
    keep(studio, job, "adapter/adapter_model.safetensors", b"weights")
    end(studio, job, JobStatus.FAILED, EndReason.BUDGET_REACHED)
    page = look(client, f"/jobs/{job.id}")
    assert "Adapter of the last checkpoint, partial" in page.words
    assert client.get(f"/api/training/jobs/{job.id}/adapter.zip").status_code == 200


def test_what_was_trained_on_may_be_kept_where_a_machine_has_spoken(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    canceling = f"DELETE /api/training/jobs/{job.id}"
    assert look(client, f"/jobs/{job.id}").having("data-action") == [canceling]
    with studio.database.session() as session:
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        attempts.save(session, attempt.id, machine_id="m", launched_at=START, last_seen_at=START)
    page = look(client, f"/jobs/{job.id}")
    assert page.having("data-action") == [f"{canceling}?export_on_stop=true", canceling]
    assert client.delete(f"/api/training/jobs/{job.id}?export_on_stop=true").status_code == 200
    waiting = look(client, f"/jobs/{job.id}")
    assert "is being downloaded" in waiting.words
    assert set(waiting.having("data-every")) == {"3"}


@pytest.mark.parametrize("measure", ["loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_bytes"])
def test_each_measure_has_its_curve(studio: Studio, client: TestClient, measure: str) -> None:
    job = a_job(studio, total_steps=80)
    add_curve(studio, job, 40)
    page = look(client, f"/jobs/{job.id}/curve?measure={measure}")
    assert len(page.having("data-points")) == 2
    assert [link["href"] for link in page.all("a", **{"aria-current": "page"})] == [f"/jobs/{job.id}?measure={measure}"]
    assert ("Validation loss" in page.words) == (measure == "loss")


def test_before_the_first_step_there_is_a_sentence_and_no_chart(studio: Studio, client: TestClient) -> None:
    page = look(client, f"/jobs/{a_job(studio).id}/curve")
    assert "begins with the first step" in page.words
    assert not page.all("svg", role="img")


def test_the_log_is_filtered_by_kind_and_by_words(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    with studio.database.session() as session:
        for kind, message, data in (
            ("message", "The disk is nearly full.", {}),
            ("step", None, {"loss": 2.5, "seconds_left": 61}),
            ("evaluation", None, {"loss": 2.125, "phase": "during", "answers": 22}),
            ("artifact", None, {"name": "adapter_model.safetensors", "bytes": 2048}),
        ):
            events.append_own(
                session,
                job_id=job.id,
                data=read_data(kind, data),
                status=job.status,
                happened_at=START,
                message=message,
            )
    path = f"/jobs/{job.id}/log"
    important = look(client, path).words
    assert "The disk is nearly full." in important
    assert "Validation loss so far: 2.125 on 22 answers" in important
    assert "loss 2.500" not in important
    progress = look(client, f"{path}?show=progress").words
    assert "A step, loss 2.500, 1 min 01 s left" in progress
    assert "nearly full" not in progress
    everything = look(client, f"{path}?show=all").words
    assert "Wrote adapter_model.safetensors (2.0 KiB)" in everything
    found = look(client, f"{path}?show=all&find=VALIDATION").words
    assert "2.125" in found
    assert "nearly full" not in found
    assert "No event has these words." in look(client, f"{path}?find=spleen").words


@pytest.mark.parametrize(
    ("kind", "status", "reason", "data", "tone"),
    [
        ("status", JobStatus.FAILED, EndReason.INTERNAL, {}, "bad"),
        ("status", JobStatus.COMPLETED, None, {}, "good"),
        ("end", JobStatus.COMPLETED, None, {}, ""),  # the studio tells the good events once everything is stored
        ("status", JobStatus.CANCELLED, EndReason.CANCELLED_BY_USER, {}, "warn"),
        ("message", JobStatus.TRAINING, None, {"code": "budget"}, "warn"),
        ("message", JobStatus.FAILED, None, {}, ""),
        ("status", JobStatus.TRAINING, None, {}, ""),
    ],
)
def test_the_log_shows_what_is_bad_news(
    studio: Studio,
    client: TestClient,
    kind: str,
    status: JobStatus,
    reason: EndReason | None,
    data: dict[str, object],
    tone: str,
) -> None:
    job = a_job(studio)
    with studio.database.session() as session:
        events.append_own(
            session,
            job_id=job.id,
            data=read_data(kind, data),
            status=status,
            happened_at=START,
            message="So",
            reason=reason,
        )
    (line,) = [found for found in look(client, f"/jobs/{job.id}/log").all("li") if "id" in found]
    assert line["class"] == tone


def test_stages_end_where_the_job_did() -> None:
    assert [stage.state for stage in stages(JobStatus.TRAINING, JobStatus.TRAINING)] == [
        *["done"] * 4,
        "now",
        *["open"] * 3,
    ]
    assert [stage.state for stage in stages(JobStatus.FAILED, JobStatus.PROVISIONING)] == [
        "done",
        "ended",
        *["open"] * 6,
    ]
    assert {stage.state for stage in stages(JobStatus.COMPLETED, None)} == {"done"}
    assert {stage.state for stage in stages(JobStatus.CANCELLED, None)} == {"open"}
    assert len(STAGES) == 8


def test_the_time_left_is_the_worker_s_word_and_the_plan_of_the_rest() -> None:
    phases = {"training": 600.0, "evaluating": 40.0}
    whole = phases | {"provisioning": 30.0, "preprocessing": 5.0, "model_loaded": 20.0, "uploading": 10.0}

    def left(status: JobStatus, expected: dict[str, float] | None, **told: float) -> tuple[float, bool] | None:
        plan = (
            None if expected is None else make_plan(phases={name: seconds(value) for name, value in expected.items()})
        )
        job = TrainingJob(status=status, status_changed_at=START, plan=plan, metrics=JobMetrics(**told))
        found = time_left(job, START + timedelta(seconds=25))
        return None if found is None else (found.seconds, found.to_the_end)

    assert left(JobStatus.TRAINING, whole, seconds_left=100) == (150.0, True)
    assert left(JobStatus.TRAINING, whole) == (625.0, True)
    assert left(JobStatus.TRAINING, phases, seconds_left=100) == (140.0, False)
    assert left(JobStatus.TRAINING, None, seconds_left=100) == (100.0, False)
    assert left(JobStatus.MODEL_LOADED, whole) == (650.0, True)
    # What is told of an attempt before counts no more.
    assert left(JobStatus.MODEL_LOADED, whole, seconds_left=100) == (650.0, True)
    assert left(JobStatus.QUEUED, whole) == (705.0, True)
    assert left(JobStatus.QUEUED, None) is None
    assert left(JobStatus.COMPLETED, whole) is None


def test_settings_name_what_differs_from_the_recipe_and_forms_know_the_bounds() -> None:
    settings = Hyperparameters(learning_rate=5e-4, max_seq_length=2112).model_dump(mode="json")
    rows = {row.name: row for row in setting_rows(settings, "balanced")}
    assert list(rows) == list(Hyperparameters.model_fields)
    assert rows["learning_rate"].value == "0.0005"
    assert rows["learning_rate"].by_recipe == "0.0002"
    assert rows["r"].by_recipe is None
    assert (rows["max_seq_length"].value, rows["max_seq_length"].by_recipe) == ("2112", None)  # the data chose it
    assert all(row.meaning for row in rows.values())
    assert all(row.by_recipe is None for row in setting_rows(settings, "a recipe of an older version"))
    fields = {field.name: field for field in setting_fields(settings)}
    assert set(fields) == set(Hyperparameters.model_fields)
    rank = fields["r"]
    assert (rank.kind, rank.value, rank.low, rank.high, rank.step) == ("number", "16", 1.0, 512.0, "1")
    assert fields["lora_dropout"].high == 1.0
    assert fields["lr_scheduler_type"].choices == ("cosine", "linear", "constant", "constant_with_warmup")
    assert fields["packing"].choices == ("true", "false")
    assert fields["max_steps"].value == ""
    assert fields["target_modules"].kind == "text"


def test_the_csv_has_every_point_and_empty_cells_for_what_is_not_known(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    add_curve(studio, job, 3000)
    answer = client.get(f"/api/training/jobs/{job.id}/metrics.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "A-job-first-try-metrics.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 3002
    assert rows[0] == {
        "kind": "train", "step": "1", "epoch": "0.1", "loss": "2.99", "learning_rate": "0.0002", "grad_norm": "1.5",
        "tokens_per_second": "900.0", "memory_bytes": str(1 << 30), "recorded_at": START.isoformat(),
    }  # fmt: skip
    assert (rows[-1]["kind"], rows[-1]["grad_norm"]) == ("validation", "")


# Before and after


def test_the_comparison_shows_its_figures_and_what_is_behind_them(studio: Studio, client: TestClient) -> None:
    pulled(studio)
    page = look(client, f"/jobs/{a_finished_job(studio).id}/comparison")
    for words in (
        "16 validation answers from 8 conversations",
        "LAST TURN Elena",
        "TUNED Elena",
        "Better",
        "Elena · 16 answers",
    ):
        assert words in page.words
    assert "With the adapter switched off the model equals the untouched base" in page.words
    assert page.having("data-chat")


def test_the_comparison_names_the_method_of_its_own_intervals(studio: Studio, client: TestClient) -> None:
    """A stored comparison of version 0.1 names none; it was the percentile bootstrap, from five conversations on."""
    job = a_finished_job(studio)
    page = look(client, f"/jobs/{job.id}/comparison")
    assert "no verdict (fewer than 6)" in page.words
    assert "The intervals are a bootstrap-t over whole conversations" in page.words
    document = report().comparison.model_dump(mode="json")
    del document["interval_method"]
    keep(studio, job, "comparison.json", json.dumps(document).encode())
    page = look(client, f"/jobs/{job.id}/comparison")
    assert "no verdict (fewer than 5)" in page.words
    assert "The intervals are a percentile bootstrap over whole conversations" in page.words


def test_a_comparison_whose_proof_failed_does_not_count(studio: Studio, client: TestClient) -> None:
    job = a_finished_job(studio)
    keep(studio, job, "comparison.json", report(holds=False).comparison.model_dump_json().encode())
    page = look(client, f"/jobs/{job.id}/comparison")
    assert "This comparison does not count." in page.words
    assert "Not verified" in page.words
    assert "Better" not in page.words


def test_where_no_machine_holds_the_model_the_box_says_so(studio: Studio, client: TestClient) -> None:
    job = a_finished_job(studio)
    page = look(client, f"/jobs/{job.id}/comparison")
    assert "No machine is up that holds tiny-llama." in page.words
    assert not page.having("data-chat")
    refused = client.post(f"/api/training/jobs/{job.id}/chat", json={"prompt": "Hello"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_machine")
    state = client.get(f"/api/training/jobs/{job.id}/chat").json()
    assert (state["possible"], state["loaded"]) == (False, False)


def test_a_prompt_of_one_s_own_is_answered_by_both(studio: Studio, client: TestClient) -> None:
    pulled(studio)
    job = a_finished_job(studio)
    path = f"/api/training/jobs/{job.id}/chat"
    assert client.get(path).json()["possible"] is True
    answers = client.post(path, json={"prompt": "Where do I begin?"}).json()
    assert "Where do I begin?" in answers["base"]["text"]
    assert answers["tuned"]["stopped"] is True
    assert client.get(path).json()["loaded"] is True
    for wrong in ({"prompt": ""}, {"prompt": "x" * 8001}, {"prompt": "a", "max_tokens": 513}, {"prompt": "a", "x": 1}):
        assert client.post(path, json=wrong).status_code == 422


def test_the_models_are_unloaded_when_the_studio_ends(studio: Studio) -> None:
    pulled(studio)
    job = a_finished_job(studio)
    with a_client(studio) as client:
        client.post(f"/api/training/jobs/{job.id}/chat", json={"prompt": "Hello"})
        loaded = client.app.state.playground._loaded  # type: ignore[attr-defined]
        assert loaded.chat.is_alive
    assert not loaded.chat.is_alive
    assert not list(studio.home.glob(".trying-*"))


def test_a_stored_comparison_that_cannot_be_read_is_an_error_and_no_figure(studio: Studio, client: TestClient) -> None:
    job = a_finished_job(studio)
    keep(studio, job, "comparison.json", b'{"overall": 1}')
    page = look(client, f"/jobs/{job.id}/comparison", 400)
    assert "cannot be read" in page.words


# Runs beside each other


def test_runs_are_laid_over_each_other_and_differences_stand_out(studio: Studio, client: TestClient) -> None:
    first = a_finished_job(studio)
    settings = Hyperparameters(learning_rate=1e-4).model_dump(mode="json")
    second = a_job(studio)
    with studio.database.session() as session:
        jobs.change_if(session, second.id, expected=list(JobStatus), hyperparameters=settings, name="Second run")
    for job in (first, second):
        add_curve(studio, job, 20)
    page = look(client, f"/compare?job={first.id}&job={second.id}")
    assert len(page.having("data-points")) == 4  # training and validation, wide and narrow
    assert len(page.all("tr", **{"class": "differs"})) == 1
    assert "learning_rate (differs)" in page.words
    assert "0.0001" in page.words
    assert "not measured" in page.words  # the second has no comparison
    assert (
        look(client, f"/compare?job={first.id}&job={second.id}&measure=grad_norm").words.count("Validation split") == 1
    )


def test_what_each_run_says_to_the_same_prompts_stands_side_by_side(studio: Studio, client: TestClient) -> None:
    pair = [a_finished_job(studio), a_finished_job(studio)]
    page = look(client, f"/compare?job={pair[0].id}&job={pair[1].id}")
    assert "What each says to the same" in page.words
    assert page.words.count("hears you and is here for you") == 2 * 6
    assert page.words.count("The consultant wrote") == 2
    assert "no run is better than all others by more than chance" in page.words


def test_runs_of_one_name_are_told_apart(studio: Studio, client: TestClient) -> None:
    pair = [a_job(studio), a_job(studio)]
    for job in pair:
        add_curve(studio, job, 5)
    page = look(client, f"/compare?job={pair[0].id}&job={pair[1].id}")
    assert all(f"A job: first, try ({job.id[:8]})" in page.words for job in pair)


def test_too_few_or_too_many_runs_are_a_choice(studio: Studio, client: TestClient) -> None:
    empty = look(client, "/compare")
    assert "Comparing takes two jobs" in empty.words
    many = [a_job(studio) for _ in range(5)]
    one = look(client, f"/compare?job={many[0].id}")
    assert len(one.all("input", type="checkbox")) == 5
    assert len([box for box in one.all("input", type="checkbox") if "checked" in box]) == 1
    five = look(client, "/compare?" + "&".join(f"job={job.id}" for job in many))
    assert "That is too many at once." in five.words
    twice = look(client, f"/compare?job={many[0].id}&job={many[0].id}")
    assert "too many" not in twice.words
    pair = look(client, f"/compare?job={many[0].id}&job={many[1].id}&job={many[0].id}")
    assert len([cell for cell in pair.all("th", scope="col") if "dir" in cell]) == 3 * 2  # three tables, two runs
    assert twice.all("form", action="/compare")


def test_settings_that_differ_come_first() -> None:
    found = compared_settings([{"r": 8, "seed": 1}, {"r": 8, "seed": 2}])
    assert [one.name for one in found if one.differs] == ["seed"]
    assert found[0].values == ["1", "2"]
