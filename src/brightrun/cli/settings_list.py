"""`brightrun settings`: every setting, what it means and what it is now. A secret's value is never shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from brightrun.cli.show import plain_table, print_json, results
from brightrun.settings import SettingRow, read_settings, setting_rows


def settings(json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False) -> None:
    """List every setting of the environment or of a file named .env, and whether it is set."""
    rows = setting_rows(read_settings())
    if json:
        print_json({"data": [asdict(row) for row in rows]})
        return
    table = plain_table("", "setting", "now", "meaning")
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(row.key, _now(row), row.meaning)
    results.print(table)


def _now(row: SettingRow) -> str:
    if row.is_secret:
        return "set, not shown" if row.is_set else "not set"
    if row.value is None:
        return "not set"
    return row.value if row.is_set else f"{row.value} (default)"
