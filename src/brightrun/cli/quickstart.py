"""`brightrun quickstart`: the whole product in about five minutes on a laptop, with its own dataset and model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brightrun.catalogue.models import EMBEDDED_MODEL
from brightrun.cli.model import bring
from brightrun.cli.show import print_json, results
from brightrun.cli.train import parse_settings, train_once
from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.jobs.plan_run import RunRequest
from brightrun.platforms import Ability, require


def quickstart(
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("runs/quickstart"),
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train SmolLM2-135M on the sample dataset on this machine's CPU and prove what it learned."""
    require(Ability.TRAINING)
    request = RunRequest(sample_dataset_path(), "quickstart", parse_settings(set_ or []))
    if not json:
        results.show_line(("1  The base model", "bold"))
    bring(EMBEDDED_MODEL)
    if not json:
        results.print()
        results.show_line(("2  The data, the plan, the training, the proof", "bold"))
    result = train_once(request, EMBEDDED_MODEL, out, quiet=json)
    if json:
        print_json(result)
