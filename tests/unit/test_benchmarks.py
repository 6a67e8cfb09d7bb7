"""Benchmarks run from a checkout where only the product is installed, without what the tests need."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import database, webhook

REPOSITORY = Path(__file__).resolve().parents[2]
BENCHMARKS = sorted((REPOSITORY / "benchmarks").glob("*.py"))
DRIVES_A_BROWSER = {"first_paint.py": {"playwright"}}
"""What a benchmark cannot do without; its docstring says so."""


def test_extras() -> set[str]:
    """Modules that only the extra for tests brings, by the names they are imported under."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = {re.split(r"[><=]", line)[0] for line in project["optional-dependencies"]["dev"]}
    return {package.replace("-", "_") for package in packages} | {"_pytest"}


test_extras.__test__ = False  # type: ignore[attr-defined]


def imported(path: Path, seen: set[Path]) -> Iterator[str]:
    """Top names of what is imported when the file is run, its neighbors in benchmarks/ and tests/ included."""
    if path in seen:
        return
    seen.add(path)
    for node in at_import(ast.parse(path.read_text(encoding="utf-8")).body):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for module in modules:
            managed = REPOSITORY / f"{module.replace('.', '/')}.py"
            if module.startswith(("tests.", "benchmarks.")) and managed.exists():
                yield from imported(managed, seen)
            else:
                yield module.split(".")[0]


def at_import(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that are run when the module is; not those inside functions or for the type checker."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With) and "TYPE_CHECKING" not in ast.unparse(node):
            yield from at_import(node.body)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_a_benchmark_needs_no_test_extra(path: Path) -> None:
    needed = set(imported(path, set())) & test_extras()
    assert needed == DRIVES_A_BROWSER.get(path.name, set())
    opening = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert all(extra in opening.lower() for extra in needed)


def test_without_a_postgresql_the_other_database_is_still_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    assert database.chosen(None) == database.chosen("sqlite") == ["sqlite"]
    assert capsys.readouterr().err.count("PostgreSQL is not measured") == 1
    with pytest.raises(SystemExit, match="pip install"):
        database.chosen("postgresql")


def test_the_events_benchmark_runs(tmp_path: Path) -> None:
    """Its rows are as the tables want them; a column that becomes typed breaks this and not the next who measures."""
    studio = webhook.make_studio(tmp_path)
    with webhook.served(studio) as url:
        assert webhook.measure(studio, url, 2, 40, 10)["events"] == 40
    studio.database.close()


def test_a_test_that_is_imported_would_be_found() -> None:
    assert "pytest" in set(imported(Path(__file__), set())) & test_extras()
