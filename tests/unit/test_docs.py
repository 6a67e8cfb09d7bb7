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

from brightrun import __version__
from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.cli.main import app
from tests.conftest import REPOSITORY
from tests.unit.command_line import CommandLine, wee_model

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "benchmarks/*.md")
    for path in REPOSITORY.glob(pattern)
)
MODULES = {"pip", "pytest", "brightrun.worker"}
NOT_MANAGED = {".git", ".venv", "__pycache__", "dist", "build", "runs", "node_modules"}
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
                while words and re.match(r"[A-Z_]+=", words[0]):  # set for this command alone
                    words = words[1:]
                if words and (not programs or words[0].removeprefix(".venv/bin/") in programs):
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


def test_every_command_of_the_pages_is_of_a_kind_that_is_checked_here() -> None:
    """Below: `brightrun` is parsed, targets of `make`, scripts, modules and their options are looked for."""
    kinds = {"brightrun", "make", "python", "apt-get"}
    others = [command for command in _typed() if command.words[0].removeprefix(".venv/bin/") not in kinds]
    assert others == []
    fences = {language for page in PAGES for language in re.findall(r"^```(\w*)$", _text(page), flags=re.MULTILINE)}
    assert fences <= {"", "sh", "text"}, "commands stand in blocks of the language sh"


def test_make_targets_of_the_pages_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    words = {word for command in _typed("make") for word in command.words[1:]}
    targets, settings = {word for word in words if "=" not in word}, {word for word in words if "=" in word}
    assert {"quickstart", "test"} <= targets
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for setting in settings:
        assert re.search(rf"^{setting.partition('=')[0]} \?=", makefile, flags=re.MULTILINE), setting


def test_scripts_of_the_pages_exist_and_have_the_options() -> None:
    commands = [command for command in _typed("python") if command.words[1] != "-m"]
    assert commands
    for page, words in commands:
        script = REPOSITORY / words[1]
        assert script.is_file(), f"{page}: {words[1]}"
        for option in (word for word in words[2:] if word.startswith("--")):
            assert f'"{option.partition("=")[0]}"' in _text(script), f"{page}: {shlex.join(words)}"


def test_modules_that_the_pages_run_are_there() -> None:
    commands = [command for command in _typed("python") if command.words[1] == "-m"]
    assert {command.words[2] for command in commands} == MODULES
    worker = _text(REPOSITORY / "src" / "brightrun" / "worker" / "__main__.py")
    for page, (_, _, module, *words) in commands:
        if module == "brightrun.worker":
            for word in (word for word in words if word.startswith("--") or word == words[0]):
                assert f'"{word}"' in worker, f"{page}: {word}"
        for path in (word for word in words if "/" in word and module == "pytest"):
            assert (REPOSITORY / path).exists(), f"{page}: {path}"


def test_the_browser_of_the_pages_is_the_one_that_ci_installs() -> None:
    installs = _text(REPOSITORY / ".ci" / "install_chromium")
    for page, (_, action, package) in _typed("apt-get"):
        assert (action, f" {package} " in installs) == ("install", True), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_commands_in_a_line_of_text_exist_too(page: Path) -> None:
    """`brightrun job cancel ID --keep-adapter` in a sentence: the command, and every option of it."""
    for typed in re.findall(r"`brightrun ([^`]+)`", _text(page)):
        words = shlex.split(typed)
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            words = command.completed(words) if hasattr(command, "completed") else words
            assert words[0] in command.commands, f"{page.name}: brightrun {typed}"
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, f"{page.name}: {typed}"


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


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_found_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        targets = [
            target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", _text(page)) if "://" not in target
        ]
        found = [(page.parent / target).resolve() for target in targets if target]
        pages = [path for path in found if path.suffix == ".md"]
        pages += [path for folder in found if folder.is_dir() for path in folder.glob("*.md")]
        waiting += [path for path in pages if path not in seen]
    assert [path.relative_to(REPOSITORY).as_posix() for path in PAGES if path not in seen] == []


def test_the_readme_is_a_door() -> None:
    size = (REPOSITORY / "README.md").stat().st_size
    assert size < 8000, f"{size} bytes; what is longer belongs in docs/"


def test_the_changelog_has_its_form() -> None:
    """Keep a Changelog 1.1.0: Unreleased first, then versions with dates, each with sections of the known names."""
    headings = re.findall(r"^## (.*)$", _text(REPOSITORY / "CHANGELOG.md"), flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    assert headings[1].startswith(f"[{__version__}]")
    sections = set(re.findall(r"^### (.*)$", _text(REPOSITORY / "CHANGELOG.md"), flags=re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_workflow_runs_what_people_run() -> None:
    workflow = _text(REPOSITORY / ".github" / "workflows" / "test.yml")
    runs = re.findall(r"- run: (.*)$", workflow, flags=re.MULTILINE)
    assert runs == ["make test", "make lint", ".venv/bin/python -m pytest -n 2 --dist loadscope tests/unit"]
    assert set(re.findall(r"runs-on: (\w+)", workflow)) == {"ubuntu", "macos"}


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
        hidden = any(part.startswith(".") and part not in {".ci", ".github"} for part in inside[:-1])
        if path.is_file() and not hidden and not NOT_MANAGED.intersection(inside) and path.suffix in TEXT:
            yield path
