"""The quick benchmarks run to their end, small: a figure in the docs needs a command that still works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.worker, pytest.mark.slow]


def run(name: str, *options: str | Path) -> Any:
    command = [sys.executable, REPOSITORY / "benchmarks" / name, *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_events_pushed_to_a_studio() -> None:
    measured = run("webhook.py", "--events", "40", "--batch", "5")["measured"]
    assert measured
    assert {each["events"] for each in measured} == {40}


def test_the_database_and_the_pages_on_sqlite() -> None:
    assert all(value > 0 for value in run("database.py", "--only", "sqlite", "--rows", "500")["sqlite"].values())
    assert all(
        found["median_ms"] > 0 for found in run("pages.py", "--only", "sqlite", "--rows", "500")["sqlite"].values()
    )


def test_what_a_written_token_takes(tiny_model: Path) -> None:
    measured = run("answers.py", "--model", tiny_model, "--rounds", "1")
    assert set(measured) == {"trained token, ms", "4 at once", "8 at once", "16 at once"}
    assert all(value > 0 for value in measured.values())


def test_from_an_upload_to_the_queue(tiny_model: Path) -> None:
    steps = run("start_job.py", "--models", tiny_model.parent, "--model", tiny_model.name)
    assert steps["upload"]["encodes"] > 20
    assert steps["start-job"]["encodes"] == steps["start-job, another split"]["encodes"] == 0
