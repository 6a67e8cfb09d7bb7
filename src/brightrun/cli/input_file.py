"""A file that is given on the command line, also as `-`, as a pipe, or as a dataset of the hub."""

from __future__ import annotations

import atexit
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

from brightrun.catalogue.pull.hub_dataset import SCHEME, fetch_hub_dataset, parse_hub_dataset
from brightrun.cli.show import byte_progress
from brightrun.errors import DatasetError
from brightrun.settings import read_settings

STANDARD_INPUT = "-"
_SPOOLED_NAME = "standard-input"


def readable_file(path: Path | None) -> Path | None:
    """The file itself; of standard input or a pipe, a copy that is removed at the end; of the hub, a download.

    A pipe that nobody writes to is waited for, as other programs do.

    Raises:
        DatasetError: standard input is a terminal, or the path is a device.
    """
    if path is None:
        return None
    if str(path).startswith(SCHEME):
        return _from_hub(str(path))
    if str(path) == STANDARD_INPUT:
        if sys.stdin.isatty():
            raise DatasetError(
                "Standard input is a terminal: no file comes from there.",
                hint="Give the name of a file, or send one: cat FILE | brightrun dataset audit -",
            )
        return _spooled(sys.stdin.buffer, _SPOOLED_NAME)
    try:
        mode = path.stat().st_mode
    except OSError:
        return path  # it is refused where it is read
    if stat.S_ISFIFO(mode):
        with path.open("rb") as stream:
            return _spooled(stream, _SPOOLED_NAME if path.parent.name == "fd" else path.name)
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise DatasetError(f"{path} is a device, not a file.", hint="Give a file of conversations.")
    return path


def _from_hub(text: str) -> Path:
    wanted = parse_hub_dataset(text)
    settings = read_settings()
    token = None if settings.hf_token is None else settings.hf_token.get_secret_value()
    with byte_progress(f"Downloading {wanted.repo}") as progress:
        return fetch_hub_dataset(
            wanted, settings.home / "hub-datasets", token=token, endpoint=settings.hf_endpoint, progress=progress
        )


def _spooled(stream: IO[bytes], name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="brightrun-input-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / name
    with target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
    return target
