"""A studio for tests of the web room, and a client of it; a module may have others by these names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from brightrun.jobs.studio import Studio
from tests.unit.web_studio import a_client, a_studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with a_studio(tmp_path) as (studio, _):
        yield studio


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with a_client(studio) as client:
        yield client
