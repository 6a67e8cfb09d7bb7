"""Everything the command line prints goes through one console on which a string is text, and commands are quoted."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.columns import Columns
from rich.live import Live
from rich.markup import render
from rich.progress import BarColumn, Progress
from typer.main import get_command

from brightrun.cli import show
from brightrun.cli.main import app
from brightrun.cli.show import (
    PlainColumn,
    Screen,
    indented,
    panel,
    paragraphs,
    plain_table,
    print_json,
    styled,
)
from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "src" / "brightrun"
THE_CONSOLE = PACKAGE / "cli" / "show.py"
ALLOWED_OF_RICH = {
    ("rich.columns", "Columns"),
    ("rich.console", "Group"),
    ("rich.console", "RenderableType"),
    ("rich.live", "Live"),
    ("rich.progress", "BarColumn"),
    ("rich.progress", "Progress"),
    ("rich.progress", "TaskID"),
    ("rich.progress_bar", "ProgressBar"),
    ("rich.table", "Table"),
}
"""What may be used beside `show`: it makes its strings into text by asking the console."""
WAYS_AROUND = {"echo", "secho", "from_markup", "from_ansi", "print_exception", "print_json", "log", "rule", "out"}
SWITCHES = {"markup", "emoji", "highlight"}
A_STYLE_IN_TEXT = re.compile(r"\[(/|/?(bold|dim|italic|underline|red|green|yellow|cyan|blue)\b[^\]]*)\]")
A_COMMAND_GOES_ON = re.compile(r"\b(brightrun [a-z]|chmod|pip install|python -m)[^.:;,`]* (--[a-z-]+=)?$")
HOSTILE = "[/b] tag [final] [red]x[/] [link=y]z[/link] :smile: \x1b[2J\x1b]0;t\x07 \r\x08\u202e\n\u2028\x9b9A \udcff"
SHOWN = (
    "[/b] tag [final] [red]x[/] [link=y]z[/link] :smile: "
    r"\x1b[2J\x1b]0;t\x07 \r\x08\u202e\n\u2028\x9b9A \udcff"
)  # fmt: skip


def shown_on(screen: Screen) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def a_screen() -> Screen:
    return Screen(file=io.StringIO(), width=200)


# What a console shows


def test_every_way_to_show_a_string_shows_it_letter_by_letter() -> None:
    table = plain_table(HOSTILE, HOSTILE, f">{HOSTILE}")
    table.add_row(HOSTILE, styled((HOSTILE, "red")))
    ways = [
        HOSTILE,
        table,
        indented(HOSTILE, 4),
        styled(HOSTILE),
        styled("a ", (HOSTILE, "bold"), " z"),
        panel(HOSTILE, HOSTILE.replace("\n", "\\n"), width=150, border_style="green"),
        Columns([HOSTILE]),
    ]
    for way in ways:
        screen = a_screen()
        screen.print(way, markup=True, emoji=True, highlight=True)
        assert SHOWN in shown_on(screen), way
    screen = a_screen()
    screen.show_line(HOSTILE)
    assert shown_on(screen) == f"{SHOWN}\n"


def test_what_moves_on_the_screen_is_text_too() -> None:
    screen = a_screen()
    with Progress(PlainColumn("{task.description}"), BarColumn(), console=screen) as progress:
        progress.add_task(HOSTILE, total=1)
    with Live(HOSTILE, console=screen):
        pass
    assert shown_on(screen).count(SHOWN) == 2
    screen.print(screen.status(HOSTILE).renderable)
    assert shown_on(screen).count(SHOWN) == 3


def test_a_prompt_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda: "yes")
    screen = a_screen()
    assert screen.input(HOSTILE) == "yes"
    assert shown_on(screen) == SHOWN


def test_lines_are_kept_where_they_are_meant_and_nothing_else() -> None:
    screen = a_screen()
    screen.print(paragraphs("one\n\x1b[Atwo ", ("[red]", "bold")))
    assert shown_on(screen) == "one\n\\x1b[Atwo [red]\n"


def test_a_style_is_only_around_what_it_is_given_to() -> None:
    text = styled(("error\n:", "bold red"), " [bold]no[/]")
    assert text.plain == r"error\n: [bold]no[/]"
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == [(r"error\n:", "bold red")]


def test_a_long_name_in_a_table_is_whole() -> None:
    name = "".join(chr(0x4E00 + number) for number in range(250))
    screen = Screen(file=io.StringIO(), width=60)
    table = plain_table("", "name", ">count")
    table.add_row(name, "1")
    screen.print(table)
    assert re.sub(r"\s|\d|name|count", "", shown_on(screen)) == name


def test_a_line_is_never_broken() -> None:
    screen = Screen(file=io.StringIO(), width=20)
    screen.show_line("brightrun dataset audit 'a name with many words'")
    assert shown_on(screen) == "brightrun dataset audit 'a name with many words'\n"


def test_json_carries_the_same_data_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    value = {"name": f"{HOSTILE}\U000e0001 é שלום"}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out.replace(r"\udb40\udc01", "\U000e0001")) == value
    assert set("\x1b\x9b\u202e\u2028\udcff\U000e0001").isdisjoint(out)
    assert "é שלום" in out


def test_help_has_nothing_that_its_printer_takes_for_markup() -> None:
    waiting: list[Any] = [get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        texts = [command.help, command.epilog, *(getattr(parameter, "help", None) for parameter in command.params)]
        for text in filter(None, texts):
            assert render(text).plain == text, command.name


# What the source may not do


def sources(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def faults(path: Path, tree: ast.Module) -> Iterator[str]:
    """What goes around the console."""
    for node in ast.walk(tree):
        place = f"{path.name}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Import(names=names) if any(name.name.split(".")[0] == "rich" for name in names):
                yield f"{place}: rich is imported whole"
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "rich":
                yield from (f"{place}: {name.name}" for name in names if (module, name.name) not in ALLOWED_OF_RICH)
            case ast.Call(func=ast.Name(id="print")):
                yield f"{place}: print"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if (
                owner in {"typer", "results", "problems", "console", "click", "Text"} and name in WAYS_AROUND
            ):
                yield f"{place}: {name}"
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr") if path.name != "main.py":
                yield f"{place}: a stream of its own"
            case ast.keyword(arg=str(switch)) if switch in SWITCHES:
                yield f"{place}: {switch}="
            case ast.Constant(value=str(text)) if A_STYLE_IN_TEXT.search(text):
                yield f"{place}: a style in a text"
            case _:
                pass


def test_nothing_goes_around_the_console() -> None:
    found = [
        fault
        for path, tree in sources(PACKAGE / "cli")
        if path != THE_CONSOLE
        for fault in faults(path, tree)
    ]  # fmt: skip
    assert found == []


def test_only_the_command_line_knows_rich_and_has_one_console() -> None:
    for path, tree in sources(PACKAGE):
        imports = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imports |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        if path.parent != PACKAGE / "cli":
            assert not any(name.split(".")[0] in {"rich", "typer", "click"} for name in imports), path
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert path == THE_CONSOLE or "Console" not in named, path
    assert [name for name, value in vars(show).items() if isinstance(value, Screen)] == ["results", "problems"]


@pytest.mark.parametrize(
    "line",
    [
        "import rich",
        "from rich import print",
        "from rich.console import Console",
        "from rich.text import Text",
        "from rich.markup import escape",
        "from rich.panel import Panel",
        "print(name)",
        "typer.echo(name)",
        "results.print(name, markup=True)",
        "results.print(name, highlight=False)",
        "results.log(name)",
        "sys.stdout.write(name)",
        "results.print(f'[bold]{name}[/]')",
        "results.print('[red]no')",
        "mark = '[/]'",
    ],
)
def test_this_test_sees_what_goes_around_the_console(line: str) -> None:
    assert list(faults(Path("new.py"), ast.parse(line)))


def unquoted(tree: ast.Module) -> Iterator[int]:
    """Lines in which something stands in a command as it is."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, value in zip(node.values, node.values[1:], strict=False):
            if (
                isinstance(before, ast.Constant)
                and A_COMMAND_GOES_ON.search(str(before.value))
                and isinstance(value, ast.FormattedValue)
                and not ast.unparse(value.value).startswith("shell_word(")
                and not ast.unparse(value.value).isupper()  # a constant of ours
            ):
                yield node.lineno


def test_every_name_in_a_command_to_copy_is_quoted() -> None:
    found = [f"{path.relative_to(PACKAGE)}:{line}" for path, tree in sources(PACKAGE) for line in unquoted(tree)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_fault"),
    [
        ("f'Pull it: brightrun model pull {name}'", True),
        ("f'run `brightrun dataset audit {file}` first'", True),
        ("f'More: brightrun job list --after={job}'", True),
        ("f'Close it: chmod 600 {path}'", True),
        ("f'More: brightrun job list --after={shell_word(job)}'", False),
        ("f'brightrun {__version__}'", False),
        ("f'Pull one: brightrun model pull {EMBEDDED_MODEL}'", False),
        ("f'Read by brightrun, {name} is large.'", False),
    ],
)
def test_this_test_sees_a_name_that_is_not_quoted(text: str, is_fault: bool) -> None:
    assert bool(list(unquoted(ast.parse(text)))) == is_fault
