"""The command `brightrun`: gathers the nouns and shows every error as one line and a hint."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from brightrun import __version__
from brightrun.cli import compare, dataset, model, quickstart, talk, train
from brightrun.cli.show import print_json, problems
from brightrun.errors import BrightRunError

app = typer.Typer(
    name="brightrun",
    help="Turn a file of conversations into a LoRA adapter that is proven.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(dataset.app, name="dataset")
app.add_typer(model.app, name="model")
app.command("train")(train.train)
app.command("compare")(compare.compare)
app.command("chat")(talk.chat)
app.command("quickstart")(quickstart.quickstart)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"brightrun {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole trace of an error.")] = False,
) -> None:
    """Options of every command; `--debug` is read by main(), which may meet an error before this runs."""
    _ = version, debug


def main() -> None:
    """Entry point. Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        app(args=[argument for argument in arguments if argument != "--debug"])
    except BrightRunError as error:
        if debug:
            raise
        if "--json" in arguments:
            print_json(error.as_dict())
        problems.print(f"[bold red]error:[/] {_plain(error.message)}", highlight=False)
        if error.hint:
            problems.print(f"[bold]hint:[/] {_plain(error.hint)}", highlight=False)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
