"""Files that are on the disk when their folder takes its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def write_durably(path: Path, text: str) -> None:
    with path.open("wb") as stream:
        stream.write(text.encode("utf-8"))
        sync(stream)


def sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
