"""The field's words are used, and retired ones do not come back: in identifiers and in what people read."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "src" / "brightrun"
RETIRED_PARTS = {
    "befall", "colour", "doors", "faces", "furnish", "gently", "heldout", "journal", "journals", "learnt", "ledger",
    "lent", "licence", "mend", "mended", "mender", "mends", "mishap", "mishaps", "ours", "pretend", "probe", "probed",
    "quantised",
    "quarantine", "quarantined", "recompute", "stillborn", "stories", "story", "strangers", "unlearnt", "unproven",
    "utilisation", "wish", "wishes", "wording",
}  # fmt: skip
"""Parts of identifiers, between underscores or capitals."""
RETIRED_NAMES = {
    "end_machine", "held_out", "keep_adapter", "list_ours", "look_at", "look_up", "next_look_at", "settle_cap",
    "standing_worker", "tell_budget", "try_out",
}  # fmt: skip
RETIRED_TEXT = re.compile(
    r"\b(learnt|unlearnt|quarantin\w+|ledger|journal|mend(s|ed|ing)?|unproven|held[- ]out|licence|utilisation|"
    r"quantis\w+|prob(e|es|ed|ing)|behaviour|colour|strangers|wish(ed|es)?|bring(s|ing)? home|brought home|"
    r"nobody told)\b",
    re.IGNORECASE,
)
ALLOWED = {
    "contract/earlier_names.py",  # is about the names of before
    "database/migrations/versions/r0001_first_tables.py",  # what was done then
    "database/migrations/versions/r0002_plans_and_budgets.py",
    "database/migrations/versions/r0003_field_standard_names.py",
    "catalogue/folders.py",  # reads records that say licence
}


def _sources(*suffixes: str) -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in suffixes and path.relative_to(PACKAGE).as_posix() not in ALLOWED:
            yield path


def _tests() -> Iterator[Path]:
    """The tests; not those of what version 0.1 wrote, nor this list."""
    for path in sorted((REPOSITORY / "tests").rglob("*.py")):
        if "studio_0_1" not in path.parts and path.name not in {"test_words.py", "test_database_old_studio.py"}:
            yield path


def _parts(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_no_identifier_has_a_retired_word() -> None:
    found = set()
    for path in [*_sources(".py"), *_tests()]:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
            retired = token.string in RETIRED_NAMES or _parts(token.string) & RETIRED_PARTS
            if token.type == tokenize.NAME and retired:
                found.add(f"{path.relative_to(REPOSITORY)}: {token.string}")
    assert found == set()


def test_nothing_that_people_read_has_a_retired_word() -> None:
    """Texts in code (docstrings are help texts, too), pages, scripts and tables."""
    found = []
    for path in _sources(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                found += [f"{path.relative_to(PACKAGE)}:{node.lineno}: {m[0]}" for m in _search(node.value)]
    for path in _sources(".html", ".js", ".css", ".toml", ".md"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found += [f"{path.relative_to(PACKAGE)}:{number}: {m[0]}" for m in _search(line)]
    assert found == []


def _search(text: str) -> Iterator[re.Match[str]]:
    return RETIRED_TEXT.finditer(text)


def test_the_documentation_has_no_retired_word() -> None:
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]
    told_before = {"CHANGELOG.md"}  # says what was renamed
    found = [
        f"{page.name}:{number}: {match[0]}"
        for page in pages
        if page.name not in told_before
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
        for match in _search(line)
    ]
    assert found == []


def test_no_class_has_its_name_in_two_rooms() -> None:
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in _sources(".py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                rooms[node.name].add(path.relative_to(PACKAGE).parts[0])
    assert {name: sorted(where) for name, where in rooms.items() if len(where) > 1} == {}


def test_a_retired_word_would_be_found() -> None:
    assert _parts("NothingLearnt") & RETIRED_PARTS
    assert _parts("keep_journal") & RETIRED_PARTS
    assert [m[0] for m in _search("It was Quarantined, in the ledger.")] == ["Quarantined", "ledger"]
    assert not list(_search("a recommended, mindful path"))
