"""Fixtures every tier may use: real data and the tiny models where they exist, and a studio with its client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from brightrun.jobs.studio import Studio
from tests.unit.web_studio import a_client, a_studio

REPOSITORY = Path(__file__).resolve().parents[1]

# A plan times this processor for ten seconds once a day and home; tests have many homes.
os.environ["BRIGHTRUN_CPU_BENCHMARK_SECONDS"] = "0.05"


@pytest.fixture(scope="session")
def eq12_json() -> Path:
    """The real EQ-12 dataset, which is not ours to ship."""
    path = REPOSITORY.parent / "shared" / "data" / "EQ-12-conversations-demo.json"
    if not path.exists():
        pytest.skip("EQ-12 is not on this machine (../shared/data)")
    return path


@pytest.fixture(scope="session")
def eq12_jsonl(eq12_json: Path) -> Path:
    return eq12_json.with_suffix(".jsonl")


@pytest.fixture(scope="session")
def sample_dataset() -> Path:
    return REPOSITORY / "examples" / "lantern-care-sample.json"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real, very small Llama, pulled as a person would pull it."""
    pytest.importorskip("torch")
    from tests.tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("models"))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """For tests of the web room; a module may have another by this name."""
    with a_studio(tmp_path) as (studio, _):
        yield studio


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with a_client(studio) as client:
        yield client
