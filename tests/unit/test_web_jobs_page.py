"""The list of jobs: what it shows of each, filters, search, order, pages; the API speaks the same words."""

from __future__ import annotations

import html
import re
from decimal import Decimal

from fastapi.testclient import TestClient

from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts
from brightrun.jobs.studio import Studio
from tests.unit.web_studio import SOMEBODY_ELSE, HandClock, a_file, a_job

HTML = {"accept": "text/html,*/*"}
API = "/api/training/jobs"


def shown_ids(client: TestClient, query: str = "", path: str = "/jobs") -> list[str]:
    answer = client.get(f"{path}{query}", headers=HTML)
    assert answer.status_code == 200
    return re.findall(r'<tr id="job-([^"]+)"', answer.text)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_an_empty_list_offers_the_way(client: TestClient) -> None:
    page = client.get("/jobs", headers=HTML).text
    assert "No jobs yet" in page
    assert "<table" not in page
    assert "Nothing found" in client.get("/jobs?find=zzz", headers=HTML).text


def test_a_line_says_what_the_specification_asks_for(studio: Studio, client: TestClient) -> None:
    file = a_file(studio, name="<b>care</b>.json")
    now = studio.clock()
    job = a_job(
        studio, file_id=file.id, current_step=30, total_steps=120, started_at=now, metrics={"seconds_left": 60.0}
    )
    with studio.database.session() as session:
        session.merge(job).name = '"><img src=x onerror=alert(1)>'
        attempt = attempts.newest(session, job.id)
        assert attempt is not None
        attempts.save(session, attempt.id, launched_at=now, price_usd_per_hour=Decimal("2.50"))
    assert isinstance(studio.clock, HandClock)
    studio.clock.forward(hours=2)
    page = client.get("/jobs", headers=HTML).text
    assert "<img" not in page
    assert "<b>care" not in page
    told = words(page)
    assert job.id[:8] in told
    assert "Training" in told
    assert "&lt;b&gt;care&lt;/b&gt;.json" in told
    assert "30 of 120" in told
    assert "23 Nov 2096, 09:00 UTC" in told
    assert "2 h 00 min" in told
    assert re.search(r"1 min 00 s left", told)
    assert re.search(r"\$5\.00 so far", told)


def test_what_is_over_and_what_has_not_begun(studio: Studio, client: TestClient) -> None:
    a_job(studio, status=JobStatus.FAILED, reason=EndReason.DISK_FULL)
    a_job(studio, status=JobStatus.QUEUED, attempt=0)
    told = words(client.get("/jobs", headers=HTML).text)
    assert "Failed disk full" in told
    assert "no step" in told
    assert "not begun" in told
    assert "not yet" in told


def test_only_ones_own_jobs_are_listed(studio: Studio, client: TestClient) -> None:
    mine = a_job(studio)
    other = a_job(studio, owner_id=SOMEBODY_ELSE)
    assert shown_ids(client) == [mine.id]
    assert client.get(f"/jobs?after={other.id}", headers=HTML).status_code == 404


def test_the_list_and_the_api_agree_on_filter_search_and_order(studio: Studio, client: TestClient) -> None:
    clock = studio.clock
    assert isinstance(clock, HandClock)
    made = {}
    for name, status, cost in (
        ("warm", JobStatus.COMPLETED, "3"),
        ("cold", JobStatus.FAILED, None),
        ("calm", JobStatus.TRAINING, None),
        ("care", JobStatus.COMPLETED, "1"),
    ):
        job = a_job(studio, status=status, actual_cost_usd=None if cost is None else Decimal(cost))
        with studio.database.session() as session:
            session.merge(job).name = name
        made[job.id] = name
        clock.forward(minutes=1)
    for page, api, expected in (
        ("", "", "care calm cold warm"),
        ("?show=completed", "?status=completed", "care warm"),
        ("?show=live", "?status=training", "calm"),
        ("?show=failed", "?status=failed", "cold"),
        ("?find=M", "?find=M", "calm warm"),  # no letter of an id
        ("?order=name", "?order=name&direction=asc", "calm care cold warm"),
        ("?order=cost", "?order=cost", "warm care calm cold"),
        ("?order=cost&direction=asc", "?order=cost&direction=asc", "care warm calm cold"),
        ("?order=created&direction=asc&find=m", "?order=created&direction=asc&find=m", "warm calm"),
    ):
        assert " ".join(made[job_id] for job_id in shown_ids(client, page)) == expected
        assert shown_ids(client, page, "/jobs/list") == shown_ids(client, page)
        answer = client.get(f"{API}{api}").json()
        assert " ".join(job["name"] for job in answer["data"]) == expected
    assert client.get(f"{API}?order=secret").status_code == 422
    assert client.get("/jobs?order=secret", headers=HTML).status_code == 422


def test_the_next_part_keeps_what_was_asked(studio: Studio, client: TestClient) -> None:
    file = a_file(studio)
    for _ in range(27):
        a_job(studio, file_id=file.id)
    first = client.get("/jobs?find=first&order=name", headers=HTML)
    (link,) = re.findall(r'href="(/jobs\?[^"]+)" rel="next"', first.text)
    link = link.replace("&amp;", "&")
    assert "find=first" in link
    assert "order=name" in link
    begun, rest = shown_ids(client, "?find=first&order=name"), shown_ids(client, link.removeprefix("/jobs"))
    assert (len(begun), len(rest), len({*begun, *rest})) == (25, 2, 27)
    assert "27 jobs found, 25 shown" in words(first.text)
    assert "To the beginning" in client.get(link, headers=HTML).text


def test_a_column_is_sorted_the_other_way_when_it_is_sorted_already(studio: Studio, client: TestClient) -> None:
    a_job(studio)
    page = client.get("/jobs", headers=HTML).text
    assert 'href="/jobs?order=cost"' in page
    assert 'href="/jobs?order=name&amp;direction=asc"' in page
    assert "aria-sort" not in page
    page = client.get("/jobs?order=cost", headers=HTML).text
    assert page.count('aria-sort="descending"') == 1
    assert 'href="/jobs?order=cost&amp;direction=asc"' in page


def test_a_verdict_is_told_wherever_the_job_is(studio: Studio, client: TestClient) -> None:
    reason = "Closer to the consultant's own words on 31 of 36 answers it had never seen."
    figures = {"verdict": "better", "verdict_reason": reason}
    job = a_job(studio, status=JobStatus.COMPLETED, completed_at=studio.clock(), metrics=figures)
    a_job(studio, status=JobStatus.COMPLETED, completed_at=studio.clock())
    told = client.get(f"/api/training/jobs/{job.id}").json()
    assert (told["verdict"], told["verdict_reason"]) == ("better", reason)
    for path in ("/jobs", "/", f"/jobs/{job.id}"):
        shown = client.get(path, headers=HTML).text
        assert shown.count('<span class="badge good">Better</span>') == 1, path
    assert html.escape(reason) in client.get(f"/jobs/{job.id}", headers=HTML).text.replace("&#39;", "&#x27;")
    other = client.get("/api/training/jobs").json()["data"]
    assert sorted(each["verdict"] or "" for each in other) == ["", "better"]
