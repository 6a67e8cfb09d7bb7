"""What an attempt can resume from: folders with digests, there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from brightrun.contract.job_spec import file_sha256
from brightrun.errors import ResumeMismatch
from brightrun.files import whole_folder, write_model

_SEAL = "checkpoint.json"
_KEPT = 2


class Seal(BaseModel):
    """`checkpoint.json`: which run and step a checkpoint is of, and the digest of every file in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    fingerprint: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    step: int
    folder: Path


@contextmanager
def writing_checkpoint(root: Path, *, step: int, fingerprint: str) -> Iterator[Path]:
    """A staging folder to fill; sealed and moved into place when the block ends well. Older ones beyond two go."""
    final = root / f"step-{step:06d}"
    with whole_folder(final) as staging:
        yield staging
        digests = {
            str(file.relative_to(staging)): file_sha256(file) for file in sorted(staging.rglob("*")) if file.is_file()
        }
        write_model(staging / _SEAL, Seal(step=step, fingerprint=fingerprint, files=digests))
    for older in _folders(root)[_KEPT:]:
        shutil.rmtree(older)


def latest_checkpoint(root: Path, *, fingerprint: str) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose every byte is as it was sealed, and the names of damaged ones passed over.

    Raises:
        ResumeMismatch: a whole checkpoint belongs to another run (other data, settings or base).
    """
    damaged = []
    for folder in _folders(root):
        seal = _intact_seal(folder)
        if seal is None:
            damaged.append(folder.name)
            continue
        if seal.fingerprint != fingerprint:
            raise ResumeMismatch(
                f"The checkpoint {folder.name} was written by a run with other data, settings or base model.",
                details={"checkpoint_fingerprint": seal.fingerprint, "run_fingerprint": fingerprint},
            )
        return Checkpoint(seal.step, folder), damaged
    return None, damaged


def _folders(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"), reverse=True) if root.exists() else []


def _intact_seal(folder: Path) -> Seal | None:
    try:
        seal = Seal.model_validate_json((folder / _SEAL).read_bytes())
        found = {name: file_sha256(folder / name) for name in seal.files}
    except (OSError, ValidationError):
        return None
    return seal if found == seal.files else None
