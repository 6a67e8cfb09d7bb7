"""`python -m brightrun.worker`: serves, runs or exports a job, converts a pulled model, answers as base and tuned."""

from __future__ import annotations

from brightrun.worker.quiet import prepare_environment

prepare_environment()  # before anything imports torch

import argparse  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import NoReturn  # noqa: E402

from brightrun.errors import BrightRunError  # noqa: E402
from brightrun.platforms import Ability, require  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when done, 1 when the run failed (the event log says why), 2 for bad input, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m brightrun.worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the job in a folder, or go on with it")
    run.add_argument("folder", type=Path)
    run.add_argument("--attempt", type=int, help="the studio's number of this attempt")
    run.add_argument("--supervised", action="store_true", help="a worker server ends it: by SIGINT, never by SIGTERM")
    convert = commands.add_parser("convert", help="turn a GGUF file into a safetensors folder")
    convert.add_argument("source", type=Path)
    convert.add_argument("target", type=Path)
    chat = commands.add_parser("chat", help="answer lines of JSON as base and tuned")
    chat.add_argument("folder", type=Path)
    export = commands.add_parser("export", help="make a partial adapter of an unfinished run's last checkpoint")
    export.add_argument("folder", type=Path)
    _add_serve(commands.add_parser("serve", help="take jobs over HTTP, one at a time"))
    parsed = parser.parse_args(arguments)
    _listen(supervised=parsed.command == "run" and parsed.supervised)
    try:
        require(Ability.TRAINING)
        return _act(parsed)
    except BrightRunError as error:
        sys.stderr.write(f"error: {error.message}\nhint: {error.hint}\n")
        return error.exit_status


def _act(parsed: argparse.Namespace) -> int:
    if parsed.command == "run":
        from brightrun.worker.attempt import run_attempt

        return run_attempt(parsed.folder, attempt=parsed.attempt)
    if parsed.command == "convert":
        return _convert(parsed.source, parsed.target)
    if parsed.command == "export":
        return _export(parsed.folder)
    if parsed.command == "serve":
        return _serve(parsed)
    return _chat(parsed.folder)


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--root", type=Path, required=True, help="folder the jobs lie in, one folder each")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, required=True, help="0 takes a free one")
    serve.add_argument("--port-file", type=Path, help="file the port is written to")
    serve.add_argument("--models", type=Path, help="folder of pulled base models, where the studio's path is not here")
    serve.add_argument("--job", help="serve only the job of this id")
    serve.add_argument("--name", help="name of this machine in webhooks")


def _serve(parsed: argparse.Namespace) -> int:
    from brightrun.worker.serve_app import serve

    serve(
        parsed.root,
        host=parsed.host,
        port=parsed.port,
        port_file=parsed.port_file,
        only=parsed.job,
        models=parsed.models,
        worker=parsed.name,
    )
    return 0


def _export(folder: Path) -> int:
    from brightrun.contract.run_folder import RunFolder
    from brightrun.worker.export import export_checkpoint
    from brightrun.worker.quiet import hush_libraries

    hush_libraries()
    export_checkpoint(RunFolder(folder))
    return 0


def _listen(*, supervised: bool) -> None:
    """SIGTERM ends the process in order. Where a worker server owns the end, only its SIGINT does (decision 30)."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN if supervised else _interrupt)
    if supervised:  # it may have been started with SIGINT ignored, as a shell starts what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _convert(source: Path, target: Path) -> int:
    from brightrun.worker.convert_gguf import convert_gguf
    from brightrun.worker.quiet import hush_libraries

    hush_libraries()
    convert_gguf(source, target)
    return 0


def _chat(folder: Path) -> int:
    from brightrun.contract.job_spec import JobSpec
    from brightrun.contract.run_folder import RunFolder
    from brightrun.worker.chat_session import chat_lines
    from brightrun.worker.device import device_kind
    from brightrun.worker.quiet import hush_libraries

    hush_libraries()
    run = RunFolder(folder)
    spec = JobSpec.load(run.spec)
    precision = spec.hyperparameters.resolve(device_kind())
    for line in chat_lines(Path(spec.model.path), run.adapter, sys.stdin, precision):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
