"""The command `brightrun`: gathers the nouns and shows every error as one line and a hint."""

from __future__ import annotations

import errno
import io
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

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
from brightrun.cli.show import paragraphs, print_json, problems, results
from brightrun.errors import BrightRunError, InputError
from brightrun.plain_text import shell_word

_HELP = "Add --help to a command to see its arguments and options."
_SHORTER = "Give a shorter name; most systems allow 255 bytes between two slashes."
_DASH = "A name that begins with - is given with its folder: "

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
        results.show_line(f"brightrun {__version__}")
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
    _write_any_letter()
    arguments = sys.argv[1:]
    debug, as_json = "--debug" in arguments, "--json" in arguments
    try:
        _require_unicode(arguments)
        given = [argument for argument in arguments if argument != "--debug"]
        sys.exit(app(args=given, standalone_mode=False) or 0)
    except BrightRunError as error:
        if debug:
            raise
        _tell(error, as_json=as_json)
        sys.exit(error.exit_status)
    except OSError as error:
        if debug or error.errno != errno.ENAMETOOLONG:
            raise
        _tell(InputError(f"{error.filename} is too long for a file's name.", hint=_SHORTER), as_json=as_json)
        sys.exit(InputError.exit_status)
    except typer.TyperException as error:
        if message := error.format_message():  # empty where the help was shown instead
            _tell(InputError(message, hint=_dash_hint(arguments) or _HELP), as_json=as_json)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    finally:
        sys.excepthook = _show_trace  # only now: the app has set one of its own


def _require_unicode(arguments: list[str]) -> None:
    """What is written about a file names it, and only Unicode can be written."""
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            raise InputError(f"{argument} is not UTF-8.", hint="Rename the file or the folder, or use a UTF-8 locale.")


def _write_any_letter() -> None:
    """Windows writes to a file or a pipe in its own code page, which lacks most letters; JSON is UTF-8 anyway.

    A terminal keeps its encoding, and a letter that it lacks is written out.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _show_trace(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """A trace quotes names; they are text in it too."""
    problems.print(paragraphs("".join(traceback.format_exception(error))), soft_wrap=True, end="")


def _dash_hint(arguments: list[str]) -> str:
    """How a file is given whose name was taken for an option; "" where there is none."""
    here = {path.name for path in Path().glob("-*")}
    named = next((each for each in arguments if each in here), None)
    return "" if named is None else f"{_DASH}{shell_word(f'./{named}')}"


def _tell(error: BrightRunError, *, as_json: bool) -> None:
    """The error on one line, its fix on the next, then every other problem of a file; a terminal wraps them itself."""
    if as_json:
        print_json(error.as_dict())
    problems.show_line(("error:", "bold red"), f" {error.message}")
    if error.hint:
        problems.show_line(("hint:", "bold"), f" {error.hint}")
    others = error.details.get("problems")
    if isinstance(others, list) and not as_json:
        for other in others[1:]:  # the first is the error's own
            problems.show_line(f"  {other['place']}: {other['problem']}")
