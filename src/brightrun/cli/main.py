"""The command `brightrun`: gathers the nouns and shows every error as one line and a hint."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer
from rich.markup import escape

from brightrun import __version__
from brightrun.cli import (
    budget,
    chat,
    compare,
    dataset,
    doctor,
    job,
    model,
    plan,
    quickstart,
    serve,
    settings_list,
    token,
    train,
)
from brightrun.cli.show import print_json, problems
from brightrun.errors import BrightRunError, InputError

_HELP = "Add --help to a command to see its arguments and options."

app = typer.Typer(
    name="brightrun",
    help="Turn a file of conversations into a LoRA adapter that is proven.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(dataset.app, name="dataset")
app.add_typer(model.app, name="model")
app.add_typer(plan.app, name="plan")
app.command("train")(train.train)
app.command("compare")(compare.compare)
app.command("chat")(chat.chat)
app.command("quickstart")(quickstart.quickstart)
app.command("serve")(serve.serve)
app.add_typer(job.app, name="job")
app.add_typer(budget.app, name="budget")
app.add_typer(token.app, name="token")
app.command("doctor")(doctor.doctor)
app.command("settings")(settings_list.settings)


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
    _write_utf8()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        given = [argument for argument in arguments if argument != "--debug"]
        sys.exit(app(args=given, standalone_mode=False) or 0)
    except BrightRunError as error:
        if debug:
            raise
        _tell(error, as_json="--json" in arguments)
        sys.exit(error.exit_status)
    except typer.TyperException as error:
        if message := error.format_message():  # empty where the help was shown instead
            _tell(InputError(message, hint=_HELP), as_json="--json" in arguments)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _write_utf8() -> None:
    """Windows writes to a file or a pipe in its own code page, which lacks most letters; JSON is UTF-8 anyway."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
            stream.reconfigure(encoding="utf-8")


def _tell(error: BrightRunError, *, as_json: bool) -> None:
    """The error on one line and its fix on the next; a terminal wraps them itself."""
    if as_json:
        print_json(error.as_dict())
    problems.print(f"[bold red]error:[/] {escape(error.message)}", highlight=False, soft_wrap=True)
    if error.hint:
        problems.print(f"[bold]hint:[/] {escape(error.hint)}", highlight=False, soft_wrap=True)
