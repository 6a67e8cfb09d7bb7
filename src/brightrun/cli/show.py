"""How the command line shows things: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

results = Console()
problems = Console(stderr=True)


def print_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """One JSON value on standard output, for programs."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    print(json.dumps(data, indent=2, ensure_ascii=False))


def plain_table(title: str, *columns: str) -> Table:
    """A table in the one style of this command line; a column named `>x` is aligned to the right."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        name = column.removeprefix(">")
        table.add_column(name, justify="right" if column.startswith(">") else "left", header_style="dim")
    return table


@contextmanager
def byte_progress(what: str) -> Iterator[Any]:
    """A progress bar over bytes on standard error; yields `update(done_bytes, total_bytes, what)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=problems, transient=True, disable=not problems.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def update(done: int, total: int, now: str = what) -> None:
            progress.update(task, completed=done, total=total or None, description=now)

        yield update
