"""The documentation is true: commands parse, the cheap ones run, generated parts are current, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import typer

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.cli.main import app
from tests.conftest import REPOSITORY
from tests.unit.command_line import CommandLine, wee_model

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("examples/*.md")])
NOT_OURS = {".git", ".venv", "__pycache__", "dist", "build", "runs", "node_modules"}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".json",
    ".css",
    ".html",
    ".yml",
    ".yaml",
    ".cfg",
    ".ini",
    ".js",
    ".mako",
    ".sh",
    "",
}


class Typed(NamedTuple):
    """A command of a page's fenced block."""

    page: str
    words: list[str]

    @property
    def is_cheap(self) -> bool:
        """Needs no network, no training stack and no finished run."""
        planned = self.words[1] == "plan" and self.words[2] != "estimate-accuracy"  # which asks a studio
        listed = self.words[1] == "dataset" or self.words[1:3] == ["model", "list"]
        return planned or listed or "--dry-run" in self.words


def _typed(*programs: str) -> Iterator[Typed]:
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] in programs:
                    yield Typed(page.relative_to(REPOSITORY).as_posix(), words)


COMMANDS = list(_typed("brightrun"))


def _parse(words: list[str]) -> dict[str, Any]:
    """The values a command line gives to its options; fails as the command itself would on an unknown one."""
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands"):
        rest = command.completed(rest) if hasattr(command, "completed") else rest
        command, rest = command.commands[rest[0]], rest[1:]
    values: dict[str, Any] = command.make_context(words[-1], rest).params
    return values


def test_the_pages_show_every_command() -> None:
    shown = {" ".join(command.words[1:3]) for command in COMMANDS}
    for wanted in ("dataset audit", "dataset preview", "dataset prepare", "dataset split", "model list", "model pull"):
        assert wanted in shown
    assert {"train", "compare", "chat"} <= {command.words[1] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {shlex.join(command.words)}")
def test_a_command_of_the_pages_is_known(command: Typed) -> None:
    assert _parse(command.words)


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(typer.TyperException, match="--frobnicate"):
        _parse(["brightrun", "train", "file", "--frobnicate"])
    with pytest.raises(KeyError):
        _parse(["brightrun", "dataset", "frobnicate"])


def test_make_targets_of_the_pages_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    wanted = {target for command in _typed("make") for target in command.words[1:]}
    assert {"quickstart", "test"} <= wanted
    assert wanted <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


def test_scripts_of_the_pages_exist() -> None:
    scripts = [command.words[1] for command in _typed("python")]
    assert scripts
    for script in scripts:
        assert (REPOSITORY / script).is_file(), script


def test_the_cheap_commands_of_the_pages_work(
    tmp_path: Path, sample_dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the pages, in one folder, with small models under the names that the pages use."""
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "home"))
    source = wee_model(tmp_path / "source")
    for name in {"smollm2-135m-instruct", *(str(_parse(c.words).get("model") or "") for c in COMMANDS)} - {""}:
        if name.startswith(("smollm2", "llama-3-8b")):
            pull_from_folder(source, tmp_path / "home" / "models", name=name)
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copyfile(sample_dataset, folder / "conversations.json")
    monkeypatch.chdir(folder)
    cli = CommandLine(folder, capsys)
    cheap = [command for command in COMMANDS if command.is_cheap]
    assert len(cheap) >= 7
    for command in cheap:
        said = cli(*command.words[1:])
        assert said.status == 0, f"{command.page}: {shlex.join(command.words)}\n{said.err}"
        assert said.out


@pytest.fixture(scope="module")
def build_pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_pages", REPOSITORY / "docs" / "build_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_current(build_pages: ModuleType) -> None:
    for page, text in build_pages.pages().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name} is stale: run python docs/build_pages.py"


def test_the_map_names_every_file_and_says_something_of_each(build_pages: ModuleType) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", build_pages.package_map(), flags=re.MULTILINE)
    package = REPOSITORY / "src" / "brightrun"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(rows) == len(files)
    assert {Path(name).name for name, _ in rows} == {path.name for path in files}
    assert [name for name, about in rows if len(about) < 12] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in _anchors(there), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_a_door() -> None:
    size = (REPOSITORY / "README.md").stat().st_size
    assert size < 8000, f"{size} bytes; what is longer belongs in docs/"


def test_every_decision_has_the_same_parts() -> None:
    pages = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"# {int(page.name[:4])}\. ", text), page.name
        for part in ("Context", "Decision", "Consequences", "Non-goals"):
            assert f"\n**{part}.** " in text, f"{page.name}: {part}"


def test_no_file_names_this_machine_or_a_package_registry() -> None:
    # In pieces, so that this file does not name them either.
    folders = [re.escape("/" + name + "/") for name in ("work/main", "work/shared", "work/.library", "root/.cache")]
    hosts = [
        re.escape(host)
        for host in ("pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js", "conda." + "anaconda")
    ]
    bad = re.compile("|".join([*folders, *hosts, re.escape("/tmp/" + "brief"), re.escape("/tmp/" + "newcomer")]))  # noqa: S108
    found = [f"{path.relative_to(REPOSITORY)}: {match.group()}" for path in _texts() for match in _search(bad, path)]
    assert found == []


def _search(pattern: re.Pattern[str], path: Path) -> Iterator[re.Match[str]]:
    return pattern.finditer(path.read_text(encoding="utf-8", errors="replace"))


def _texts() -> Iterator[Path]:
    """Text files of the repository; hidden folders are caches here, but for CI's."""
    for path in REPOSITORY.rglob("*"):
        inside = path.relative_to(REPOSITORY).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in inside[:-1])
        if path.is_file() and not hidden and not NOT_OURS.intersection(inside) and path.suffix in TEXT:
            yield path
