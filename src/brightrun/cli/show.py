"""How the command line shows things: results on standard output, everything else on standard error.

Every string is shown letter by letter, wherever it comes from: nothing in it is markup, an emoji's code or a command to
the terminal. Styles are given beside a text, never inside it. No other module makes a console (a test holds that).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from brightrun.plain_text import is_shown, visible

Part = str | tuple[str, str]
"""A text, or a text and its style."""


def styled(*parts: Part) -> Text:
    r"""One line of text; a line break in it is shown as `\n`, since a name may hold one."""
    return Text.assemble(*(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts))


def paragraphs(*parts: Part) -> Text:
    """Text whose line breaks and tabs are meant, such as an answer of a model."""
    texts = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((visible(text, lines=True), style) for text, style in texts))


class Screen(Console):
    """A console on which a string is text. `file` and `width` are for who wants to read what it shows."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> None:
        super().__init__(stderr=stderr, file=file, width=width, markup=False, emoji=False, highlight=False)

    def show_line(self, *parts: Part) -> None:
        """Show one line, however long; a terminal wraps it itself, and what is copied from it is whole."""
        self.print(styled(*parts), soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        """What Rich makes of every string in a table, a panel, a padding or a line."""
        as_text = {"emoji": False, "markup": False, "highlight": False}
        return super().render_str(visible(text), **{**options, **as_text})

    def status(self, status: RenderableType, **options: Any) -> Status:
        return super().status(styled(status) if isinstance(status, str) else status, **options)


results = Screen()
problems = Screen(stderr=True)


def print_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """One JSON value on standard output, for programs; what a terminal would obey stands in it as an escape."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(data, indent=2, ensure_ascii=False)
    print("".join(letter if letter == "\n" or is_shown(letter) else json.dumps(letter)[1:-1] for letter in text))


def plain_table(title: str, *columns: str) -> Table:
    """A table in the one style of this command line; a column named `>x` is aligned to the right.

    A cell that is too long goes on in the next line; nothing of it is left out.
    """
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        name = column.removeprefix(">")
        table.add_column(
            name, justify="right" if column.startswith(">") else "left", header_style="dim", overflow="fold"
        )
    return table


def indented(text: RenderableType, columns: int) -> Padding:
    """A text that begins some columns from the left in each of its lines."""
    return Padding(text, (0, 0, 0, columns))


def panel(title: str, text: str, *, width: int, border_style: str) -> Panel:
    """A text in a frame; its line breaks are meant."""
    return Panel(paragraphs(text), title=styled(title), width=width, border_style=border_style)


class PlainColumn(ProgressColumn):
    """A field of a task as text: `{task.description}`."""

    def __init__(self, field: str, style: str = "") -> None:
        super().__init__()
        self._field, self._style = field, style

    def render(self, task: Task) -> Text:
        return styled((self._field.format(task=task), self._style))


@contextmanager
def byte_progress(what: str) -> Iterator[Any]:
    """A progress bar over bytes on standard error; yields `update(done_bytes, total_bytes, what)`."""
    columns = (PlainColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=problems, transient=True, disable=not problems.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def update(done: int, total: int, now: str = what) -> None:
            progress.update(task, completed=done, total=total or None, description=now)

        yield update
