"""The whole way of somebody new, by the pages alone: empty studio, sample, start, watch, before and after, download."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from brightrun.contract.manifest import verify_bundle
from tests.browser.accessibility import grave_faults
from tests.browser.chromium import a_visit
from tests.browser.journeys import Trainer, a_trainer
from tests.served_studio import MODEL

pytestmark = [pytest.mark.browser, pytest.mark.worker, pytest.mark.slow]

_SETTINGS = {"num_epochs": "1", "sample_answers": "2", "sample_tokens": "8", "evaluations": "2"}


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> Iterator[Trainer]:
    with a_trainer(tmp_path_factory.mktemp("story"), tiny_model, sample_dataset) as trainer:
        yield trainer


def test_from_an_empty_studio_to_an_adapter_at_home(chromium: Browser, trainer: Trainer, tmp_path: Path) -> None:
    with a_visit(chromium, trainer.place.url) as visit:
        visit.expected.append("status of 400")  # the plan for a number that is out of bounds
        page = visit.page("/")
        take_the_sample(page)
        job_id = start(page)
        trainer.place.jobs.append(job_id)
        watch(page)
        expect(page.get_by_role("heading", name="Did it work?")).to_be_visible()
        comparison = read_before_and_after(page)
        adapter = download(page, job_id, tmp_path)
    assert verify_bundle(adapter).job_id == job_id
    job = trainer.place.job(job_id)
    assert job["hyperparameters"]["sample_tokens"] == 8
    assert job["total_steps"] == job["current_step"]
    measured = json.loads((adapter / "comparison.json").read_text("utf-8"))["overall"]
    assert job["verdict"] == measured["verdict"]
    assert f"of {measured['answers']} answers it had never seen" in job["verdict_reason"]
    assert f"{job['metrics']['validation_loss']:.3f}" in comparison


def take_the_sample(page: Page) -> None:
    page.get_by_role("button", name="Use the sample dataset").click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f-]{36}$"), timeout=30_000)
    expect(page.locator("h1")).to_have_text("lantern-care-sample.json")
    expect(page.get_by_text("Ready to train.")).to_be_visible()
    page.wait_for_load_state("load")  # until then its links open pages, as without script


def start(page: Page) -> str:
    """Through the dialog's three steps; the job's id."""
    page.get_by_role("link", name="Start training with this").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("radio", name=re.compile("quickstart", re.IGNORECASE)).check()
    dialog.get_by_text("Advanced settings").click()
    for name, value in _SETTINGS.items():
        dialog.locator(f"[name={name}]").fill(value)
    dialog.locator("[name=num_epochs]").fill("1000000")
    expect(dialog.locator("[data-wrong=num_epochs]")).to_be_visible(timeout=30_000)
    dialog.locator("[name=num_epochs]").fill("1")
    expect(dialog.locator("[data-wrong=num_epochs]")).to_be_hidden(timeout=30_000)
    assert grave_faults(page) == []
    dialog.evaluate("dialog => { dialog.scrollTop = dialog.scrollHeight; }")
    dialog.get_by_role("button", name="Continue").last.click()
    dialog.get_by_label("Base model").select_option(MODEL)
    go = dialog.get_by_role("button", name="Start training", exact=True)
    expect(go).to_be_enabled(timeout=60_000)
    assert dialog.evaluate("dialog => dialog.scrollTop") == 0  # the step before was scrolled to its end
    expect(dialog.locator("[data-plan]")).to_contain_text("Expected time")
    assert grave_faults(page) == []
    go.dblclick()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"), timeout=30_000)
    return page.url.rsplit("/", 1)[1]


def watch(page: Page) -> None:
    """To the end, touching nothing."""
    expect(page.locator(".job-now")).to_have_attribute("data-status", "training", timeout=90_000)
    expect(page).to_have_title(re.compile(r"^\d+ % · "), timeout=30_000)
    expect(page.locator("#curve svg").first).to_be_attached(timeout=30_000)
    assert grave_faults(page) == []
    expect(page.locator(".job-now")).to_have_attribute("data-status", "completed", timeout=90_000)
    expect(page).to_have_title(re.compile("^Completed · "))


def read_before_and_after(page: Page) -> str:
    page.get_by_role("link", name="Before and after").click(timeout=30_000)
    expect(page.locator("article.sample")).to_have_count(2)
    expect(page.locator("#proof .checks li.yes")).to_have_count(2)
    return page.locator("main").inner_text()


def download(page: Page, job_id: str, folder: Path) -> Path:
    """The adapter's folder, unpacked."""
    page.locator("main").get_by_role("link", name="Jobs").first.click()
    page.locator(f"a[href='/jobs/{job_id}']").first.click()
    with page.expect_download() as coming:
        page.get_by_role("link", name="Adapter", exact=True).click()
    archive = folder / coming.value.suggested_filename
    coming.value.save_as(archive)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "adapter")
    (adapter,) = (folder / "adapter").iterdir()
    return adapter


@pytest.mark.usefixtures("chromium")
def test_the_studio_then_has_one_job_though_start_was_pressed_twice(trainer: Trainer) -> None:
    listed: list[dict[str, Any]] = trainer.place.json("job", "list")["data"]
    assert trainer.place.jobs
    assert [job["id"] for job in listed] == trainer.place.jobs
