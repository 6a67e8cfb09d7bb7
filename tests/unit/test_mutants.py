"""The list of mutants that survive: it names what exists, gives reasons, and is compared with what mutmut finds."""

from __future__ import annotations

import ast
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.mutants.survivors import LIST, Change, Listed, change, complaints, function_name, read_list

PACKAGE = REPOSITORY / "src" / "brightrun"
MUTMUT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
DIFF = """\
--- src/brightrun/datasets/split.py
+++ src/brightrun/datasets/split.py
@@ -2,3 +2,3 @@
     def _may_validate(self, unit: _Unit) -> bool:
-        return not unit.held and not unit.fixed
+        return not unit.held or not unit.fixed
 """
CHANGE = Change(
    "datasets.split._Division._may_validate",
    "return not unit.held and not unit.fixed",
    "return not unit.held or not unit.fixed",
)
LISTED = Listed(CHANGE, "A reason.")


def functions(path: Path) -> dict[str, str]:
    """The source of every function of a module, by its name with its class."""
    source = path.read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(source).body:
        for function in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(function, ast.FunctionDef):
                name = f"{node.name}.{function.name}" if isinstance(node, ast.ClassDef) else function.name
                found[name] = ast.get_source_segment(source, function) or ""
    return found


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        ("brightrun.datasets.split.x__are__mutmut_1", "datasets.split._are"),
        ("brightrun.jobs.decide.x_decide__mutmut_12", "jobs.decide.decide"),
        ("brightrun.datasets.split.xǁSplitǁsha256__mutmut_2", "datasets.split.Split.sha256"),
        ("brightrun.datasets.split.xǁ_Divisionǁ__init____mutmut_2", "datasets.split._Division.__init__"),
    ],
)
def test_a_mutant_is_known_by_its_function(mutant: str, name: str) -> None:
    assert function_name(mutant) == name


def test_a_change_is_its_lines_without_its_number() -> None:
    for number in (3, 4):
        assert change(f"brightrun.datasets.split.xǁ_Divisionǁ_may_validate__mutmut_{number}", DIFF) == CHANGE


def test_a_line_that_is_taken_out_becomes_nothing() -> None:
    diff = "--- a\n+++ a\n@@ -1 +0 @@\n-    hint=None,\n"
    assert change("brightrun.jobs.decide.x_decide__mutmut_1", diff) == Change("jobs.decide.decide", "hint=None,", "")


def test_what_is_printed_is_an_entry_of_the_list(tmp_path: Path) -> None:
    changes = [CHANGE, Change("a.b", "it's", ""), Change("a.b", "x = (\n'a'\n)", 'r"\\d"')]
    path = tmp_path / "survivors.toml"
    path.write_text("\n\n".join(f'{one}\nreason = "A reason."' for one in changes), encoding="utf-8")
    assert read_list(path) == [Listed(one, "A reason.") for one in changes]


def test_a_survivor_must_be_listed_as_often_as_it_survives() -> None:
    assert complaints([CHANGE], [LISTED], mutants=100) == []
    assert complaints([CHANGE, CHANGE], [LISTED, LISTED], mutants=100) == []
    not_listed = f"Survived and is not listed:\n\n{CHANGE}"
    assert complaints([CHANGE], [], mutants=100) == [not_listed]
    assert complaints([CHANGE, CHANGE], [LISTED], mutants=100) == [not_listed]


def test_a_listed_one_that_a_test_notices_is_taken_out() -> None:
    assert complaints([], [LISTED], mutants=100) == [f"Listed, but a test notices it now; take it out:\n\n{CHANGE}"]
    assert complaints([], [LISTED], mutants=100, whole=False) == []


@pytest.mark.parametrize(("mutants", "too_many"), [(20, False), (19, True)])
def test_at_most_one_in_twenty_may_survive(mutants: int, too_many: bool) -> None:
    assert bool(complaints([CHANGE], [LISTED], mutants=mutants)) is too_many
    assert complaints([CHANGE], [LISTED], mutants=mutants, whole=False) == []


def test_every_listed_survivor_has_a_reason_and_its_line_still_stands_in_its_function() -> None:
    for entry in read_list():
        room, file, name = entry.change.function.split(".", 2)
        source = functions(PACKAGE / room / f"{file}.py")[name]
        assert set(entry.change.was.splitlines()) <= {line.strip() for line in source.splitlines()}, entry.change
        assert entry.change.was != entry.change.becomes
        assert entry.reason.endswith("."), entry.change


def test_every_module_of_these_rooms_is_changed_or_left_out_for_a_reason() -> None:
    left_out = tomllib.loads(LIST.read_text(encoding="utf-8"))["left_out"]
    for room in ("evaluation", "templating"):
        for path in (PACKAGE / room).glob("*.py"):
            name = f"{room}/{path.name}"
            is_changed = any(fnmatch(f"src/brightrun/{name}", pattern) for pattern in MUTMUT["only_mutate"])
            assert is_changed != (name in left_out) or path.name == "__init__.py", name
    assert all((PACKAGE / name).is_file() for name in left_out)


def test_what_mutmut_is_given_exists() -> None:
    for pattern in (*MUTMUT["only_mutate"], *MUTMUT["pytest_add_cli_args_test_selection"]):
        assert list(REPOSITORY.glob(pattern)), pattern
