"""Types a command in this process and hears what it said; and a base model small enough to type commands about."""

from __future__ import annotations

import json
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import uvicorn

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.cli.main import main
from tests.unit.tiny_chat_model import LLAMA3, LLAMA3_CONFIG, write_model

MODEL = "wee-llama"
_SHAPE = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 600,
    "max_position_embeddings": 8192,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind on the screen."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> tuple[str, str]:
        """The error's sentence and its hint, which must be all that standard error shows."""
        lines = self.err.splitlines()
        assert len(lines) == 2, self.err
        assert lines[0].startswith("error: "), self.err
        assert lines[1].startswith("hint: "), self.err
        return lines[0].removeprefix("error: "), lines[1].removeprefix("hint: ")


class CommandLine:
    """`brightrun`, typed in an empty folder by somebody with a home of their own."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def __call__(self, *arguments: str | Path) -> Said:
        self._capture.readouterr()
        with patch.object(sys, "argv", ["brightrun", *map(str, arguments)]), pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capture.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    def listing(self) -> dict[str, bytes | None]:
        """Every file below the folder with its bytes, and every folder."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
        }


def wee_model(folder: Path) -> Path:
    """A folder in the Hugging Face format: a real tokenizer and template, and weights nobody can load."""
    write_model(folder, LLAMA3, LLAMA3_CONFIG)
    (folder / "config.json").write_text(json.dumps(_SHAPE), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    return folder


def pull_wee_model(scratch: Path, home: Path) -> None:
    """What `brightrun model pull` would do, once for many tests."""
    pull_from_folder(wee_model(scratch / MODEL), home / "models", name=MODEL, license="Apache-2.0")


class served:  # noqa: N801 reads as what it does
    """An app on a free port of this machine, in a thread."""

    def __init__(self, app: Any) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
