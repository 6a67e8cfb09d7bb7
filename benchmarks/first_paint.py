"""When the pages are first seen: first contentful paint in Chromium, with 10,000 jobs and a job of 1,000,000 rows.

    python benchmarks/first_paint.py
    python benchmarks/first_paint.py --rows 100000 --json

The studio is a process of its own on this machine, with SQLite; each round is a fresh window with nothing kept. Aim
(issue 5): under 300 ms. Beside it, how long the server took for the page itself, and what the page weighs. Needs
Chromium and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Response, sync_playwright
from sqlalchemy import insert, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser.chromium import a_visit, start_chromium
from tests.browser.served import served
from tests.unit.finished_job import a_finished_job
from tests.unit.web_studio import a_job, a_studio

from brightrun.contract.states import JobStatus
from brightrun.database.metrics import STEPS_IN_BLOCK
from brightrun.database.tables import TrainingJob
from brightrun.jobs.studio import Studio

AIM_MS = 300.0
JOBS = 10_000
_ROUNDS = 7
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the job's metrics")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.rows)
        return
    with a_full_studio(options.rows) as (base, job_id), sync_playwright() as playwright:
        browser = start_chromium(playwright)
        found = {name: measure(browser, base, path) for name, path in pages(job_id).items()}
        browser.close()
    print(json.dumps(found, indent=2) if options.json else as_text(found))


def pages(job_id: str) -> dict[str, str]:
    return {
        "home": "/",
        "jobs": "/jobs",
        "jobs, searched": "/jobs?find=try",
        "jobs, by cost": "/jobs?order=cost",
        "job": f"/jobs/{job_id}",
        "before and after": f"/jobs/{job_id}/comparison",
        "datasets": "/datasets",
        "start training": "/start",
        "estimates": "/estimates",
        "settings": "/settings",
    }


@contextmanager
def a_full_studio(rows: int) -> Iterator[tuple[str, str]]:
    """Its address and the id of the job with the long curve. In a process of its own: the browser's driver is here."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder, "--rows", str(rows)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield told["base"], told["job_id"]
        finally:
            process.communicate("\n", timeout=60)


def serve(folder: Path, rows: int) -> None:
    """Until a line comes in."""
    with a_studio(folder) as (studio, _):
        job_id = fill(studio, rows)
        with served(studio) as base:
            print(json.dumps({"base": base, "job_id": job_id}), flush=True)
            sys.stdin.readline()


def fill(studio: Studio, rows: int) -> str:
    """Jobs in every state and one that is completed, with all its pages and a long curve."""
    job = a_finished_job(studio, current_step=rows, total_steps=rows)
    base = a_job(studio)
    columns = {c.key: getattr(base, c.key) for c in TrainingJob.__mapper__.column_attrs if c.key != "id"}
    ends = [JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED]
    made = [columns | _ended(studio.clock(), number) | {"status": ends[number % 4]} for number in range(JOBS - 2)]
    statement = text(
        "INSERT INTO training_metrics_history (training_job_id, attempt, kind, step, block, epoch, loss, recorded_at) "
        "SELECT :job, 1, 'train', i, i / :block, i / 1000.0, 1.0 / (1 + i * 0.0001) + (i * 7919 % 1000) / 5000.0, "
        "(SELECT created_at FROM training_jobs WHERE id = :job) "
        "FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) SELECT i FROM n)"
    )
    with studio.database.session() as session:
        session.execute(insert(TrainingJob), made)
        session.execute(statement, {"job": job.id, "rows": rows, "block": STEPS_IN_BLOCK})
    return job.id


def _ended(now: datetime, number: int) -> dict[str, Any]:
    """When an older job began and ended: one every fifty minutes, so that they are of a year."""
    began = now - timedelta(minutes=50 * (number + 1))
    end = began + timedelta(minutes=30)
    times = {"created_at": began, "started_at": began, "completed_at": end, "status_changed_at": end}
    return {**times, "next_check_at": None}


def measure(browser: Browser, base: str, path: str) -> Figures:
    """Medians, and the slowest paint, of some rounds after one to warm up; bytes as they come, uncompressed."""
    server, paints, weight = [], [], 0
    with httpx.Client(base_url=base, timeout=60, headers={"accept": "text/html"}) as http:
        for _ in range(_ROUNDS + 1):
            began = time.perf_counter()
            http.get(path).raise_for_status()
            server.append((time.perf_counter() - began) * 1000)
    for _ in range(_ROUNDS + 1):
        with a_visit(browser, base) as visit:
            page = visit.page(None)
            answers: list[Response] = []
            page.on("response", lambda answer, answers=answers: answers.append(answer))
            visit.go(page, path)
            page.wait_for_function(f"({_FIRST_PAINT}) !== null")
            paints.append(float(page.evaluate(_FIRST_PAINT)))
            weight = sum(len(answer.body()) for answer in answers if not _is_stream(answer))
    return {
        "first_paint_ms": round(statistics.median(paints[1:]), 1),
        "slowest_paint_ms": round(max(paints[1:]), 1),
        "server_ms": round(statistics.median(server[1:]), 1),
        "kilobytes": round(weight / 1000, 1),
    }


def _is_stream(answer: Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/event-stream")


def as_text(found: dict[str, Figures]) -> str:
    return "\n".join(_line(name, figures) for name, figures in found.items())


def _line(name: str, figures: dict[str, Any]) -> str:
    verdict = "reached" if figures["first_paint_ms"] < AIM_MS else "missed"
    return (
        f"{name}: first paint {figures['first_paint_ms']} ms, slowest {figures['slowest_paint_ms']} ms "
        f"(aim {AIM_MS:g} ms: {verdict}); server {figures['server_ms']} ms; {figures['kilobytes']} kB"
    )


if __name__ == "__main__":
    main()
