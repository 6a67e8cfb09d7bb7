"""`brightrun doctor`: is everything here that a studio needs, and if not, how is it repaired?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from brightrun.cli.show import print_json, results
from brightrun.errors import BrightRunError
from brightrun.platforms import Ability, supports
from brightrun.settings import read_settings

if TYPE_CHECKING:
    from brightrun.jobs.connections import Diagnosis

_COLORS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False) -> None:
    """Check every setting and every connection. Starts nothing and costs nothing. Exit status 1 if one fails."""
    found = []
    for finding in _findings():
        found.append(finding)
        if not json:
            _tell(finding)
    failed = any(finding.outcome == "fail" for finding in found)
    if json:
        print_json({"ok": not failed, "checks": [asdict(finding) for finding in found]})
    if failed:
        raise typer.Exit(1)


def _findings() -> Iterator[Diagnosis]:
    from brightrun.cli.doctor_machine import machine_findings, running_studio
    from brightrun.jobs.connections import Diagnosis

    try:
        settings = read_settings()
    except BrightRunError as error:
        yield Diagnosis("settings", "fail", error.message, error.hint)
        return
    yield from machine_findings(settings)
    if not supports(Ability.STUDIO):
        yield running_studio(settings)
        return
    from brightrun.cli.doctor_checks import setting_findings, studio_findings

    yield from setting_findings(settings)
    yield from studio_findings(settings)


def _tell(finding: Diagnosis) -> None:
    results.show_line(
        (f"{finding.outcome:<4}", _COLORS[finding.outcome]),
        f"  {finding.check:<24}  {finding.message}",
        (f"  {finding.fix}" if finding.fix else "", "dim"),
    )
