"""How many events of workers' event logs the studio accepts a second: real HTTP, real signatures, SQLite on disk.

    python benchmarks/webhook.py                        one job, then eight jobs that tell at once
    python benchmarks/webhook.py --events 50000 --json

A server of its own listens on a free port of this machine. Every batch is made and signed before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from sqlalchemy import func, select

from brightrun.compute.simulated.provider import SimulatedCompute
from brightrun.contract.compute import JobCompute
from brightrun.contract.event_data import StepData
from brightrun.contract.events import StepEvent
from brightrun.contract.messages import EventBatch
from brightrun.contract.signatures import job_secret, sign
from brightrun.contract.states import JobStatus
from brightrun.database import attempts, files, jobs
from brightrun.database.database import Database
from brightrun.database.tables import TrainingAttempt, TrainingEvent, TrainingFile, TrainingJob
from brightrun.jobs.studio import Studio, utc_now
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app

AIM_PER_SECOND = 1000
BATCH = 50
MASTER = "a master secret of the benchmark"
Message = tuple[bytes, dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000, help="events in all, of each measurement")
    parser.add_argument("--batch", type=int, default=BATCH, help="events in one request")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(Path(folder))
        with served(studio) as url:
            measured = [measure(studio, url, workers, options.events, options.batch) for workers in (1, 8)]
        studio.database.close()
    result = {"aim_events_per_second": AIM_PER_SECOND, "batch": options.batch, "measured": measured}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for each in measured:
        verdict = "reached" if each["events_per_second"] >= AIM_PER_SECOND else "missed"
        print(
            f"{each['jobs']} job(s) at once: {each['events_per_second']:,.0f} events/s "
            f"({each['events']:,} in {each['seconds']:.1f} s, slowest request {each['slowest_ms']:.0f} ms); "
            f"aim {AIM_PER_SECOND:,}: {verdict}"
        )


def measure(studio: Studio, url: str, workers: int, total: int, batch: int) -> dict[str, Any]:
    """Tell `total` events, divided over as many jobs as workers, each in order over a connection of its own."""
    made = [make_job(studio) for _ in range(workers)]
    logs = [make_report(job_id, total // workers, batch) for job_id in made]
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        slowest = max(pool.map(lambda log: tell(url, log), logs))
    seconds = time.perf_counter() - start
    with studio.database.reading() as session:
        told = select(func.count()).select_from(TrainingEvent).where(TrainingEvent.job_id.in_(made))
        stored = session.scalar(told) or 0
    assert stored == total // workers * workers, "events were lost"
    return {
        "jobs": workers, "events": stored, "seconds": round(seconds, 3),
        "events_per_second": round(stored / seconds, 1), "slowest_ms": round(slowest * 1000, 1),
    }  # fmt: skip


def tell(url: str, log: list[Message]) -> float:
    slowest = 0.0
    with httpx.Client(base_url=url, timeout=60) as client:
        for body, headers in log:
            before = time.perf_counter()
            answer = client.post("/api/training/webhook", content=body, headers=headers)
            slowest = max(slowest, time.perf_counter() - before)
            answer.raise_for_status()
    return slowest


def make_report(job_id: str, count: int, batch: int) -> list[Message]:
    now = datetime.now(UTC)
    told = [
        StepEvent(
            sequence=number, attempt=1, timestamp=now, status=JobStatus.TRAINING, step=number,
            total_steps=count,
            data=StepData(loss=2 - number / count, learning_rate=1e-4, grad_norm=0.3, tokens_per_second=150.0),
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    secret = job_secret(MASTER, job_id)
    log = []
    for at in range(0, count, batch):
        body = EventBatch.telling(job_id, 1, "bench", told[at : at + batch]).model_dump_json(exclude_none=True)
        headers = sign(secret, f"{job_id}.{at}", now, body.encode())
        log.append((body.encode(), headers | {"content-type": "application/json"}))
    return log


def make_studio(folder: Path) -> Studio:
    database = Database(f"sqlite:///{folder / 'studio.db'}")
    database.migrate()
    return Studio(
        database=database,
        storage=InMemory(LinkSigner("a secret of the benchmark", "http://localhost")),
        computes={"simulated": SimulatedCompute(utc_now)},
        models=folder / "models",
        home=folder / "home",
        webhook_secret=SecretStr(MASTER),
        default_compute="simulated",
    )


def make_job(studio: Studio) -> str:
    now = studio.clock()
    with studio.database.session() as session:
        file = files.add(
            session,
            TrainingFile(
                owner_id="local", file_name="a.json", sha256="0" * 64, bytes=1, storage_path="a", created_at=now
            ),
        )
        job, _ = jobs.add(
            session,
            TrainingJob(
                owner_id="local", training_file_id=file.id, name="bench", status=JobStatus.TRAINING, spec={},
                base_model="m", recipe="balanced", hyperparameters={}, compute=JobCompute(provider="simulated"),
                attempt=1, created_at=now, status_changed_at=now,
            ),
        )  # fmt: skip
        attempt = TrainingAttempt(
            job_id=job.id, number=1, provider="simulated", machine_name=f"train-{job.id}-1", launch_intended_at=now,
            last_sequence=0,
        )  # fmt: skip
        attempts.open_lease(session, attempt)
        return job.id


@contextmanager
def served(studio: Studio) -> Iterator[str]:
    # Named as TCP, else asyncio leaves Nagle's algorithm on and every small answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(create_app(studio, LoopbackAccess()), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
