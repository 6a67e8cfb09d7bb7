"""Figures and times in words: the same length of time reads the same wherever it is told."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from brightrun.format import about_text, band_text, duration_text
from tests.conftest import REPOSITORY

SOURCE = REPOSITORY / "src" / "brightrun"
_TIME_UNIT = re.compile(r"( s|\s?(seconds?|min|minutes?|h|hours?|days?))\b")  # `{noun}s` is a plural
_FIGURES_OF_ONE_UNIT = {
    "format.py",  # the one place
    "planning/cost.py",  # a rate: one interruption in so many hours
    "planning/fixes.py",  # the value that `max_duration_hours` would have to have
    "planning/specification.py",  # a table whose columns are hours, as the specification's are
}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0.2 s"),
        (4.21, "4.2 s"),
        (48, "48 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7_500, "2 h 05 min"),
    ],
)
def test_a_measured_time_keeps_its_seconds(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (45, "45 s"),
        (99, "99 s"),
        (100, "2 min"),
        (3000, "50 min"),
        (12_000, "3 h 20 min"),
        (4e5, "111 h"),
    ],
)
def test_an_estimate_is_no_more_exact_than_it_is(seconds: float, words: str) -> None:
    assert about_text(seconds) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (1200, 2580, "20 to 43 min"),
        (45, 120, "45 s to 2 min"),
        (0.1, 0.3, "1 s"),
        (7200, 12_000, "2 h 00 min to 3 h 20 min"),
        (3840, 19_140, "64 min to 5 h 19 min"),
    ],
)
def test_a_band_names_its_unit_once(low: float, high: float, words: str) -> None:
    assert band_text(low, high) == words


def test_no_other_place_puts_a_length_of_time_into_words() -> None:
    found = {
        f"{path.relative_to(SOURCE).as_posix()}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).as_posix() not in _FIGURES_OF_ONE_UNIT
        for line in figures_with_a_time_unit(path.read_text(encoding="utf-8"))
    }
    assert found == set(), "ask brightrun/format.py"
    assert list(figures_with_a_time_unit('f"{x:.0f} s"')) == [1]
    assert list(figures_with_a_time_unit('f"{x}h {y} rows, {z} steps"')) == [1]
    assert list(figures_with_a_time_unit('f"{x} steps at {y} hertz, {noun}s"')) == []


def test_each_exception_is_still_one() -> None:
    for name in _FIGURES_OF_ONE_UNIT:
        assert any(figures_with_a_time_unit(Path(SOURCE, name).read_text(encoding="utf-8"))), name


def figures_with_a_time_unit(source: str) -> Iterator[int]:
    """Lines of f-strings in which a unit of time follows a value."""
    for node in ast.walk(ast.parse(source)):
        for value, text in pairwise(node.values if isinstance(node, ast.JoinedStr) else []):
            follows = isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)
            if follows and _TIME_UNIT.match(str(text.value)):
                yield node.lineno
