"""`brightrun plan estimate-accuracy`: how well a studio's past plans came true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from brightrun.catalogue.dollars import usd
from brightrun.cli.show import plain_table, print_json, results, styled
from brightrun.files import write_text
from brightrun.format import about_text
from brightrun.settings import read_settings

ESTIMATE_ACCURACY = "/api/training/estimate-accuracy"


def estimate_accuracy(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many jobs at most, the newest first.")] = 20,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw it into a file.")] = None,
    quantity: Annotated[str, typer.Option(help="What to draw: duration, training, memory or cost.")] = "duration",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show estimate beside actual of past jobs of a running studio; its next plans are corrected by them."""
    from brightrun.cli.studio_client import studio_client

    with studio_client(read_settings()) as client:
        found = client.get(ESTIMATE_ACCURACY, limit=limit)
        if svg is not None:
            wanted = {"quantity": quantity, "limit": limit}
            with client.stream("GET", f"{ESTIMATE_ACCURACY}.svg", params=wanted) as reply:
                write_text(svg, reply.read().decode("utf-8"))
    if json:
        print_json(found)
        return
    if not found["jobs"]:
        results.show_line("No job has run undisturbed to its end yet.")
        return
    _show(found)
    if svg is not None:
        results.show_line(f"Drawn: {svg}")


def _show(found: dict[str, Any]) -> None:
    table = plain_table("What jobs took (and what was expected)", "job", "ended", ">time", ">memory", ">cost")
    for job in found["jobs"]:
        table.add_row(
            job["name"],
            (job["ended_at"] or "")[:10],
            _pair(job["duration"], about_text),
            _pair(job["memory"], lambda value: f"{value / 1e9:.2f} GB"),
            _pair(job["cost"], usd),
        )
    results.print(table, soft_wrap=True)
    for each in found["summaries"]:
        results.show_line(
            f"{each['quantity']}: {each['within']} of {each['jobs']} within the band; actual ÷ estimate "
            f"{each['median_ratio']:.2f} in the middle, off by {100 * each['median_error']:.0f} % in the middle."
        )


def _pair(figure: dict[str, Any] | None, say: Callable[[float], str]) -> RenderableType:
    """Actual and estimate; marked where the actual lies outside the band."""
    if figure is None:
        return styled("unknown")
    return styled((say(figure["actual"]), "" if figure["within"] else "yellow"), f" ({say(figure['estimate'])})")
