"""`brightrun compare`: what the base and the tuned model scored and said, and whether the bundle is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.columns import Columns

from brightrun.cli.show import panel, paragraphs, plain_table, print_json, results
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.verdicts import VERDICTS
from brightrun.errors import RunFolderError
from brightrun.evaluation.comparison import Comparison, LossChange, SampleAnswer
from brightrun.evaluation.report import sample_views


def compare(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    answers: Annotated[int, typer.Option(min=0, help="How many answers to show side by side.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Show validation losses before and after, by persona and emotional arc, and answers side by side."""
    folder = RunFolder(run)
    if not folder.adapter.exists():
        raise RunFolderError(f"{run} contains no finished run.", hint="Give the folder that `brightrun train` wrote.")
    manifest = verify_bundle(folder.adapter)
    comparison = Comparison.model_validate_json((folder.adapter / "comparison.json").read_bytes())
    if json:
        print_json(comparison)
        return
    results.show_line((VERDICTS[comparison.verdict], "bold"), f": {comparison.reason}")
    results.print(comparison.overall.sentence)
    if comparison.prompting is not None:
        results.print(comparison.prompting.sentence)
    results.print()
    _show_groups("by persona", comparison.by_persona)
    _show_groups("by emotional arc", comparison.by_arc)
    for view in sample_views(comparison)[:answers]:
        _show_sample(view.answer, view.warning)
    for found in (comparison.forgetting, comparison.memorization):
        if found is not None:
            results.print(found.sentence)
    adapter_check = comparison.adapter_check
    results.print(
        f"Proof: adapter off differs from the base by {adapter_check.adapter_off_max_difference:g}, adapter on by "
        f"{adapter_check.adapter_on_max_difference:.3g}. Bundle: {len(manifest.files)} files match their sha256."
    )


def _show_groups(title: str, groups: dict[str, LossChange]) -> None:
    table = plain_table(f"Validation loss {title}", "", ">answers", ">base", ">tuned", ">change")
    for name, change in groups.items():
        table.add_row(
            name, str(change.answers), f"{change.base_loss:.3f}", f"{change.tuned_loss:.3f}",
            f"{change.relative_change:+.1%}",
        )  # fmt: skip
    results.print(table)
    results.print()


def _show_sample(sample: SampleAnswer, warning: str | None) -> None:
    asked = sample.prompt[-1]["content"]
    results.print(paragraphs(("Client", "bold"), f" {asked}"))
    if warning is not None:
        results.show_line(("Look at this answer.", "yellow"), f" {warning}")
    half = max((results.width - 3) // 2, 30)
    results.print(
        Columns(
            [
                panel("base", sample.base.text, width=half, border_style="none"),
                panel("tuned", sample.tuned.text, width=half, border_style="green"),
            ]
        )
    )
