"""A process that answers lines: asked twice, slow, broken, silent, and never left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from brightrun.compute.base import Chat
from brightrun.compute.chat_process import ChatProcess
from brightrun.errors import ComputeError

READY = 'import json, sys, time\nprint(json.dumps({"ready": True}), flush=True)\n'
ECHO = READY + (
    "for line in sys.stdin:\n"
    "    asked = json.loads(line)\n"
    '    print(json.dumps({side: asked[side][-1]["content"] + "é" for side in ("base", "tuned")}), flush=True)\n'
)
Opener = Callable[[str], ChatProcess]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    made: list[ChatProcess] = []
    before = children()  # a browser that another test left open is nobody's fault here

    def open_chat(program: str) -> ChatProcess:
        script = tmp_path / "program.py"
        script.write_text(program, encoding="utf-8")
        made.append(ChatProcess(tmp_path, command=(sys.executable, "-X", "utf8", str(script))))
        return made[-1]

    yield open_chat
    for chat in made:
        chat.close()
    assert children() <= before


def children() -> set[int]:
    """The processes that this one has started and that live."""
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


def asked(text: str) -> dict[str, object]:
    message = [{"role": "user", "content": text}]
    return {"base": message, "tuned": message, "max_tokens": 5}


def test_it_answers_again_and_again_until_it_is_closed(opened: Opener) -> None:
    chat = opened(ECHO)
    assert isinstance(chat, Chat)
    for text in ("one", "two\nlines"):
        assert chat.ask(asked(text), seconds=20) == {"base": f"{text}é", "tuned": f"{text}é"}
    assert chat.is_alive
    chat.close()
    assert not chat.is_alive
    chat.close()


def test_an_answer_that_takes_too_long_ends_it(opened: Opener) -> None:
    chat = opened(READY + "time.sleep(60)\n")
    with pytest.raises(ComputeError, match="did not answer"):
        chat.ask(asked("one"), seconds=2)
    assert not chat.is_alive


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import sys\nsys.stderr.write('error: The model is not here.\\nhint: no\\n')\nsys.exit(1)",
            "The model is not here.",
        ),
        ("raise SystemExit(3)", "without a word"),
        ("print('loading', flush=True)", "without a word"),
    ],
    ids=["says why", "says nothing", "says something else"],
)
def test_what_ends_instead_of_answering_says_why(opened: Opener, program: str, said: str) -> None:
    chat = opened(program)
    with pytest.raises(ComputeError, match=said):
        chat.ask(asked("one"), seconds=20)
    assert not chat.is_alive


def test_one_that_ended_between_two_questions_says_so(opened: Opener) -> None:
    chat = opened(READY + "sys.stdin.readline()\nprint(json.dumps({'base': 1, 'tuned': 2}), flush=True)\n")
    assert chat.ask(asked("one"), seconds=20) == {"base": 1, "tuned": 2}
    with pytest.raises(ComputeError):
        chat.ask(asked("two"), seconds=20)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match="cannot be started"):
        ChatProcess(tmp_path, command=(str(tmp_path / "none"),))


def test_it_gets_none_of_the_studio_s_secrets(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_WEBHOOK_SECRET", "secret-of-the-studio")
    chat = opened(
        "import os, json\nprint('{}', flush=True)\ninput()\nprint(json.dumps(dict(os.environ)), flush=True)\n"
    )
    assert "secret-of-the-studio" not in str(chat.ask(asked("one"), seconds=20))
