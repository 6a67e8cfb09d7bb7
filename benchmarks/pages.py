"""How fast the studio's API answers what its pages ask first: real HTTP, on SQLite and on a real PostgreSQL.

    python benchmarks/pages.py                      10,000 jobs, a job with 1,000,000 rows of metrics
    python benchmarks/pages.py --only sqlite --json

Aims (issue 3): the first page of 10,000 jobs under 50 ms; a job with its curve of 1,000,000 rows under 200 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.database import chosen, fill, open_database
from benchmarks.webhook import make_studio, served

from brightrun.database.database import Database

TIMES = 20
AIMS_MS = {"first page of 10,000 jobs": 50.0, "a job and its curve": 200.0}
Result = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="one database alone")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the job's metrics")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    results: dict[str, Result] = {}
    for name in chosen(options.only):
        with open_database(name) as database:
            results[name] = measure(database, options.rows)
    print(json.dumps(results, indent=2) if options.json else as_text(results))


def measure(database: Database, rows: int) -> Result:
    """Milliseconds of whole requests, one connection, one at a time."""
    database.migrate()
    job_id = fill(database, rows)
    with tempfile.TemporaryDirectory() as folder:
        spare = make_studio(Path(folder))
        spare.database.close()
        with served(replace(spare, database=database)) as url, httpx.Client(base_url=url, timeout=60) as client:
            found = client.get(f"/api/training/jobs/{job_id}/metrics").raise_for_status().json()
            assert found["train"], "the curve is empty"
            return {
                "first page of 10,000 jobs": timed(client, "/api/training/jobs"),
                "first page, 100 of them": timed(client, "/api/training/jobs?limit=100"),
                "a job and its curve": timed(
                    client, f"/api/training/jobs/{job_id}", f"/api/training/jobs/{job_id}/metrics"
                ),
            }


def timed(client: httpx.Client, *paths: str) -> dict[str, float]:
    """Median and slowest of some rounds over the paths, after one to warm up."""
    taken = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        for path in paths:
            client.get(path).raise_for_status()
        taken.append((time.perf_counter() - began) * 1000)
    return {"median_ms": round(statistics.median(taken[1:]), 1), "slowest_ms": round(max(taken[1:]), 1)}


def as_text(results: dict[str, Result]) -> str:
    lines = []
    for database, result in results.items():
        for what, ms in result.items():
            aim = AIMS_MS.get(what)
            verdict = "" if aim is None else f"; aim {aim:g} ms: {'reached' if ms['median_ms'] < aim else 'missed'}"
            lines.append(f"{database}: {what}: {ms['median_ms']} ms, slowest {ms['slowest_ms']} ms{verdict}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
