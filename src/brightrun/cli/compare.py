"""`brightrun compare`: what the base and the tuned model scored and said, and whether the bundle is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.columns import Columns
from rich.markup import escape
from rich.panel import Panel

from brightrun.cli.show import plain_table, print_json, results
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.run_folder import RunFolder
from brightrun.errors import RunFolderError
from brightrun.evaluation.comparison import Comparison, LossChange, SampleAnswer


def compare(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    answers: Annotated[int, typer.Option(min=0, help="How many answers to show side by side.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show held-out losses before and after, by persona and emotional arc, and answers side by side."""
    folder = RunFolder(run)
    if not folder.adapter.exists():
        raise RunFolderError(f"{run} holds no finished run.", hint="Give the folder that `brightrun train` wrote.")
    manifest = verify_bundle(folder.adapter)
    comparison = Comparison.model_validate_json((folder.adapter / "comparison.json").read_bytes())
    if json:
        print_json(comparison)
        return
    results.print(f"[bold]{escape(comparison.overall.sentence)}[/]\n", highlight=False)
    _show_groups("by persona", comparison.by_persona)
    _show_groups("by emotional arc", comparison.by_arc)
    for sample in comparison.samples[:answers]:
        _show_sample(sample)
    adapter_check = comparison.adapter_check
    results.print(
        f"Proof: adapter off differs from the base by {adapter_check.adapter_off_max_difference:g}, adapter on by "
        f"{adapter_check.adapter_on_max_difference:.3g}. Bundle: {len(manifest.files)} files match their sha256.",
        highlight=False,
    )


def _show_groups(title: str, groups: dict[str, LossChange]) -> None:
    table = plain_table(f"Held-out loss {title}", "", ">answers", ">base", ">tuned", ">change")
    for name, change in groups.items():
        table.add_row(
            name, str(change.answers), f"{change.base_loss:.3f}", f"{change.tuned_loss:.3f}",
            f"{change.relative_change:+.1%}",
        )  # fmt: skip
    results.print(table)
    results.print()


def _show_sample(sample: SampleAnswer) -> None:
    asked = sample.prompt[-1]["content"]
    results.print(f"[bold]Client[/] {escape(asked)}", highlight=False)
    half = max((results.width - 3) // 2, 30)
    results.print(
        Columns(
            [
                Panel(escape(sample.base.text), title="base", width=half),
                Panel(escape(sample.tuned.text), title="tuned", width=half, border_style="green"),
            ]
        )
    )
