"""`brightrun plan FILE`: tokens, steps, memory, hours and dollars before anything is paid for or written."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from brightrun.catalogue.gpus import find_gpu
from brightrun.catalogue.models import EMBEDDED_MODEL
from brightrun.cli.dataset import File, ValidationPath
from brightrun.cli.estimate_accuracy import estimate_accuracy
from brightrun.cli.reading import with_reading_choices
from brightrun.cli.show import byte_progress, plain_table, print_json, results, styled
from brightrun.cli.show_plan import show_plan
from brightrun.cli.this_device import this_machine
from brightrun.cli.train import parse_settings
from brightrun.datasets.options import ReadingChoices
from brightrun.errors import DatasetError
from brightrun.jobs.base_model import any_base
from brightrun.jobs.plan_run import Planned, PlanTarget, RunRequest, measure_data, plan_measured
from brightrun.plain_text import command
from brightrun.planning.choice import gpu_price
from brightrun.planning.cost import InstanceType
from brightrun.planning.this_machine import current_cpu_benchmark, rented
from brightrun.platforms import Ability, require
from brightrun.settings import read_settings


class FileOrCommand(TyperGroup):
    """A group whose first word is a command's name, or else a file: `plan FILE` is `plan file FILE`."""

    def completed(self, words: list[str]) -> list[str]:
        """The words with the command that is meant where none is named."""
        if not words or words[0] in {*self.commands, "--help"}:
            return words
        return ["file", *words]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.completed(args))


app = typer.Typer(
    cls=FileOrCommand,
    help="What a run will take: tokens, steps, memory, hours and dollars.",
    no_args_is_help=True,
)
app.command("estimate-accuracy")(estimate_accuracy)


@app.command("file")
@with_reading_choices
def plan_file(
    file: File,
    model: Annotated[str, typer.Option(help="Base model; a Llama 3 need not be pulled.")] = EMBEDDED_MODEL,
    recipe: Annotated[str, typer.Option(help="conservative, balanced, aggressive or quickstart.")] = "balanced",
    gpu: Annotated[str | None, typer.Option(help="A GPU of the catalogue; by default this machine.")] = None,
    spot: Annotated[bool, typer.Option("--spot", help="Count with a spot price, where one is recorded.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe.")
    ] = None,
    max_cost: Annotated[float | None, typer.Option("--max-cost", min=0.01, help="A cap in dollars to hold.")] = None,
    benchmark: Annotated[bool, typer.Option("--cpu-benchmark", help="Time this processor again first.")] = False,
    validation_file: ValidationPath = None,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    *,
    choices: ReadingChoices,
) -> None:
    """Tokens, steps, memory, hours and dollars of a run, and which GPUs hold it. Exit status 2: it would be refused."""
    if not file.is_file():
        raise DatasetError(f"There is no file {file}.", hint="Check the path; it is read from this folder.")
    target = _target(gpu, spot=spot, benchmark=benchmark, max_cost=max_cost)
    base = any_base(model, read_settings().models)
    request = RunRequest(file, recipe, parse_settings(set_ or []), choices=choices, validation_file=validation_file)
    with TemporaryDirectory() as scratch, byte_progress(f"Reading {file.name}") as progress:
        measured = measure_data(request, base, Path(scratch) / "data", progress=progress)
    planned = plan_measured(request, measured, target)
    if json:
        print_json(_as_json(planned))
    else:
        show_plan(planned.plan, planned.outlook, planned.offers, details=True)
        if planned.prepared.audit.refused:
            results.show_line(("refused", "red"), f"  data: {command('brightrun dataset audit', file)} says why")
    if planned.plan.refused or planned.prepared.audit.refused:
        raise typer.Exit(2)


@app.command("cpu-benchmark")
def plan_cpu_benchmark(json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False) -> None:
    """Run the CPU speed test now; the result is used for a day. Close other programs first."""
    settings = read_settings()
    found = current_cpu_benchmark(settings.home, settings.cpu_benchmark_seconds, again=True)
    if json:
        print_json(found)
        return
    table = plain_table(f"{found.processor}, {found.threads} threads", "", ">")
    table.show_header = False
    table.add_row("matrix products", f"{found.matmul_flops_per_second / 1e9:.1f} GFLOP/s")
    table.add_row("new arrays in memory", f"{found.fresh_bytes_per_second / 1e9:.1f} GB/s")
    table.add_row("weights read through", f"{found.streamed_bytes_per_second / 1e9:.1f} GB/s")
    table.add_row("slowest and fastest tenth", f"{found.slowest:.2f} and {found.fastest:.2f} of the median")
    results.print(table)
    if found.is_busy:
        note = "Other programs were running meanwhile: plans are as wrong as that will change."
        results.print(styled((note, "yellow")))


@app.command("specification")
def plan_specification(json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False) -> None:
    """Our memory, hours and dollars for Llama 3 70B beside the product specification's, line by line."""
    from brightrun.planning.specification import specification_tables

    tables = specification_tables()
    if json:
        print_json([asdict(table) for table in tables])
        return
    for table in tables:
        shown = plain_table(table.title, *table.columns)
        for row in table.rows:
            shown.add_row(*row)
        results.print(shown)
        results.print(styled((table.note, "dim")))
        results.print()


def _target(gpu: str | None, *, spot: bool, benchmark: bool, max_cost: float | None) -> PlanTarget:
    cap = None if max_cost is None else Decimal(str(max_cost))
    kind: InstanceType = "spot" if spot else "on_demand"
    if gpu is None:
        require(Ability.TRAINING, hint="Use Linux, macOS or WSL 2, or name a GPU to plan for with --gpu.")
        return PlanTarget(this_machine(again=benchmark), instance_type=kind, max_cost_usd=cap)
    card = find_gpu(gpu)
    return PlanTarget(rented(card), gpu_price(card, instance_type=kind), kind, max_cost_usd=cap)


def _as_json(planned: Planned) -> dict[str, Any]:
    return {
        "plan": planned.plan.model_dump(mode="json"),
        "verdict": planned.outlook.model_dump(mode="json"),
        "gpus": [offer.model_dump(mode="json") for offer in planned.offers],
        "refused": planned.plan.refused,
        "dataset_refused": planned.prepared.audit.refused,
    }
