"""The walks of docs/architecture name files and functions that are there, and count their hops right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "architecture"
PACKAGE = REPOSITORY / "src" / "brightrun"
WALKS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PROCESSES = {"browser", "studio", "worker server", "trainer"}
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| `([^`]+)` \| `([^`]+)` \| ([^|]+) \|$", re.MULTILINE)


class Hop(NamedTuple):
    number: int
    process: str
    file: str
    function: str
    words: str


def hops(walk: Path) -> list[Hop]:
    return [Hop(int(number), *rest) for number, *rest in _ROW.findall(walk.read_text(encoding="utf-8"))]


def is_defined(function: str, text: str) -> bool:
    """As a function, a method or a route in Python, as a function or a method in JavaScript."""
    name = re.escape(function)
    python = rf"^\s*(?:async )?def {name}\("
    javascript = rf"^\s*(?:export )?(?:async )?(?:function )?{name}\([^)]*\) \{{"
    return re.search(rf"{python}|{javascript}", text, flags=re.MULTILINE) is not None


def test_there_are_three_walks() -> None:
    assert len(WALKS) == 3


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_every_hop_is_where_it_is_said_to_be(walk: Path) -> None:
    found = hops(walk)
    rows = [line for line in walk.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(found) == len(rows) - 1  # but for the heading
    assert [hop.number for hop in found] == list(range(1, len(found) + 1))
    lost = [
        f"{hop.number}: {hop.file} has no {hop.function}"
        for hop in found
        if not (PACKAGE / hop.file).is_file()
        or not is_defined(hop.function, (PACKAGE / hop.file).read_text(encoding="utf-8"))
    ]
    assert lost == [], f"{walk.name} is behind the code; walk it again"
    assert {hop.process for hop in found} <= PROCESSES
    assert not any(hop.process == "browser" and hop.file.endswith(".py") for hop in found)


def test_the_counts_are_those_of_the_rows_and_no_walk_grew() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    told = {
        name: (int(was), int(now)) for name, was, now in re.findall(r"\(([\w-]+)\.md\) \| (\d+) \| (\d+) \|", index)
    }
    assert {name: now for name, (_, now) in told.items()} == {walk.stem: len(hops(walk)) for walk in WALKS}
    assert all(now <= was for was, now in told.values())


def test_a_function_that_is_gone_would_be_noticed() -> None:
    assert is_defined("send", "  async send() {\n")
    assert is_defined("ask", "export async function ask(method, path) {\n")
    assert is_defined("move", "def move(\n    session")
    assert not is_defined("move", "def moved(\n    move(session)")
