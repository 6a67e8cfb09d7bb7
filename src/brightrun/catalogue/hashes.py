"""Sizes and sha256 hashes of the files of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from brightrun.errors import ModelError
from brightrun.plain_text import command

RECORD_NAME = "brightrun-model.json"
Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all, and what is being done, as in "checking model.safetensors"."""

_CHUNK_BYTES = 4 * 1024 * 1024


class ModelFile(BaseModel):
    """One file of a model's folder; `name` is its path there, with forward slashes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def record_files(folder: Path, progress: Progress | None = None) -> tuple[ModelFile, ...]:
    """Every file below the folder, hashed, sorted by name, without hidden ones and the model's record."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [name for name in names if name.name != RECORD_NAME and not any(p.startswith(".") for p in name.parts)]
    total = sum((folder / name).stat().st_size for name in names)
    files, done = [], 0
    for name in names:
        size = (folder / name).stat().st_size
        digest = sha256_of(folder / name, shifted(progress, done, total, f"checking {name.as_posix()}"))
        files.append(ModelFile(name=name.as_posix(), bytes=size, sha256=digest))
        done += size
    return tuple(files)


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """The file's sha256 in hexadecimal; `on_bytes` hears the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            if on_bytes is not None:
                on_bytes(done)
    return digest.hexdigest()


def shifted(progress: Progress | None, done: int, total: int, what: str) -> Callable[[int], None] | None:
    """A listener for one file of many: adds what was done before it."""
    if progress is None:
        return None
    return lambda read: progress(done + read, total, what)


def require_sha256(file_name: str, *, found: str, expected: str, model: str) -> None:
    """Compares two hashes.

    Raises:
        ModelError: they differ; the message names the file and both hashes.
    """
    if found != expected:
        raise ModelError(
            f"{file_name} of {model} is damaged: its sha256 is {found}, expected {expected}.",
            hint=f"Pull it again: {command('brightrun model pull --again', model)}",
            details={"file": file_name, "found": found, "expected": expected},
        )
