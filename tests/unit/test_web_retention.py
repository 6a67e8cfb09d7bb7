"""What was lost and what leaks, on a job's comparison page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from brightrun.evaluation.comparison import Comparison
from brightrun.jobs.studio import Studio
from tests.unit.finished_job import a_finished_job, keep
from tests.unit.retention_reports import with_retention
from tests.unit.run_reports import HOSTILE, report
from tests.unit.test_web_job_pages import Shown, look
from tests.unit.web_studio import a_client, a_studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with a_studio(tmp_path) as (studio, _):
        yield studio


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with a_client(studio) as client:
        yield client


def page_of(studio: Studio, client: TestClient, comparison: Comparison) -> Shown:
    job = a_finished_job(studio)
    keep(studio, job, "comparison.json", comparison.model_dump_json().encode())
    return look(client, f"/jobs/{job.id}/comparison")


def test_the_page_says_in_plain_words_what_was_lost_and_what_is_repeated(studio: Studio, client: TestClient) -> None:
    comparison = with_retention(report().comparison)
    page = page_of(studio, client, comparison)
    assert comparison.forgetting is not None
    assert comparison.memorization is not None
    for words in (
        comparison.forgetting.sentence,
        comparison.memorization.sentence,
        "Lost some",
        "Repeats training data",
        "80 of 80 words in a row, mail address el…om",
        "EXCERPT Elena",
    ):
        assert words in page.words


def test_nothing_lost_and_nothing_repeated_shows_no_answer(studio: Studio, client: TestClient) -> None:
    page = page_of(studio, client, with_retention(report().comparison, lost=0, runs=(3, 4), said=False))
    assert "No clear loss" in page.words
    assert "Nothing repeated" in page.words
    assert "EXCERPT" not in page.words


def test_foreign_words_are_shown_as_text(studio: Studio, client: TestClient) -> None:
    hostile = page_of(studio, client, with_retention(report().comparison, words=HOSTILE))
    harmless = page_of(studio, client, with_retention(report().comparison))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]


def test_a_comparison_of_an_earlier_version_has_no_such_section(studio: Studio, client: TestClient) -> None:
    page = page_of(studio, client, report().comparison)
    assert "What was lost, what leaks" not in page.words
