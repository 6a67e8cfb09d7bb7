"""`brightrun chat`: ask base and tuned model the same and see both answers side by side."""

from __future__ import annotations

import json as json_format
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.columns import Columns

from brightrun.cli.show import panel, print_json, problems, results, styled
from brightrun.contract.run_folder import RunFolder
from brightrun.errors import BrightRunError, RunFolderError
from brightrun.platforms import Ability, require

Messages = list[dict[str, str]]


def chat(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    prompt: Annotated[str | None, typer.Option(help="Ask this once and stop.")] = None,
    system: Annotated[str | None, typer.Option(help="System prompt; by default the dataset's own.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, max=4096, help="Longest answer in tokens.")] = 200,
    json: Annotated[bool, typer.Option("--json", help="With --prompt: print both answers as JSON.")] = False,
) -> None:
    """Talk to the base and the tuned model at once. An empty line ends the talk."""
    require(Ability.TRAINING)
    folder = RunFolder(run)
    if not (folder.adapter / "golden_prompts.json").exists():
        raise RunFolderError(f"{run} contains no finished run.", hint="Give the folder that `brightrun train` wrote.")
    opening = _opening(folder, system)
    histories: dict[str, Messages] = {"base": list(opening), "tuned": list(opening)}
    with _worker(run) as ask:
        if prompt is not None:
            answers = _exchange(ask, histories, prompt, max_tokens)
            if json:
                print_json(answers)
            else:
                _show(answers)
            return
        while question := _read_question():
            _show(_exchange(ask, histories, question, max_tokens))


def _opening(folder: RunFolder, system: str | None) -> Messages:
    if system is not None:
        return [{"role": "system", "content": system}] if system else []
    golden = json_format.loads((folder.adapter / "golden_prompts.json").read_text(encoding="utf-8"))
    return [message for message in golden[0]["messages"][:1] if message["role"] == "system"]


def _read_question() -> str:
    try:
        results.print()
        return results.input(styled(("You", "bold"), " ")).strip()
    except EOFError:
        return ""


def _exchange(ask: Any, histories: dict[str, Messages], question: str, max_tokens: int) -> dict[str, Any]:
    for history in histories.values():
        history.append({"role": "user", "content": question})
    with problems.status("Both are thinking"):
        answers: dict[str, Any] = ask({**histories, "max_tokens": max_tokens})
    for side, history in histories.items():
        history.append({"role": "assistant", "content": answers[side]["text"] or "…"})
    return answers


def _show(answers: dict[str, Any]) -> None:
    half = max((results.width - 3) // 2, 30)
    panels = [
        panel(side, answers[side]["text"], width=half, border_style=color)
        for side, color in (("base", "dim"), ("tuned", "green"))
    ]
    results.print(Columns(panels))


@contextmanager
def _worker(run: Path) -> Iterator[Any]:
    """A worker process that answers lines of JSON; yields `ask(request) -> answers`."""
    command = [sys.executable, "-m", "brightrun.worker", "chat", str(run)]
    with (run / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def receive() -> dict[str, Any]:
        line = stdout.readline()
        if not line:
            raise BrightRunError("The worker stopped.", hint=f"{run / 'worker.log'} has what it printed.")
        answer: dict[str, Any] = json_format.loads(line)
        return answer

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        stdin.write(json_format.dumps(request) + "\n")
        stdin.flush()
        return receive()

    try:
        with problems.status("Loading base and adapter"):
            receive()
        yield ask
    finally:
        stdin.close()
        process.wait()
        stdout.close()
