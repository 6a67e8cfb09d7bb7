"""A pulled model's folder and its record, brightrun-model.json."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import tempfile
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from brightrun.catalogue.hashes import RECORD_NAME, ModelFile, Progress, require_sha256, sha256_of, shifted
from brightrun.catalogue.models import Source
from brightrun.errors import ModelError
from brightrun.plain_text import command


class ModelRecord(BaseModel):
    """What was pulled, from where, and every file with its hash.

    `revision` is a commit of the hub, or `package==version`; absent where the origin has none.
    `needs_conversion` is true until safetensors were made from the file that `converted_from` then names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str
    hub_id: str | None = None
    revision: str | None = None
    source: Source
    license: str = Field(validation_alias=AliasChoices("license", "licence"))
    pulled_at: datetime.datetime
    files: tuple[ModelFile, ...]
    converted_from: str | None = None
    needs_conversion: bool = False

    @property
    def total_bytes(self) -> int:
        """Bytes of all recorded files."""
        return sum(file.bytes for file in self.files)

    @property
    def version(self) -> str:
        """What a job is pinned to: the origin's revision, or `sha256:…` over the files' names and hashes."""
        if self.revision:
            return self.revision
        content = json.dumps(
            [[file.name, file.sha256] for file in self.files], separators=(",", ":"), ensure_ascii=False
        )
        return f"sha256:{hashlib.sha256(content.encode('utf-8')).hexdigest()}"


def read_model_record(folder: Path) -> ModelRecord:
    """The record in that folder.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    path = folder / RECORD_NAME
    try:
        return ModelRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(
            f"{folder} is not a pulled model: {RECORD_NAME} is missing.",
            hint="Pull the model first: brightrun model pull NAME, HUB_ID or FOLDER.",
        ) from error
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ModelError(
            f"{path} cannot be read: {reason}.", hint="Remove the folder and pull the model again."
        ) from error


def write_model_record(folder: Path, record: ModelRecord) -> None:
    """Puts the record into the folder, whole or not at all."""
    text = json.dumps(record.model_dump(mode="json"), indent=2) + "\n"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{RECORD_NAME}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / RECORD_NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def verify_model_folder(folder: Path, *, hashes: bool = False, progress: Progress | None = None) -> ModelRecord:
    """Compares the folder with its record: names and sizes always, sha256 of every file on request.

    Raises:
        ModelError: a file is missing, has another size, or another hash.
    """
    record = read_model_record(folder)
    for file in record.files:
        _check_size(folder / file.name, file, record.name)
    done = 0
    for file in record.files if hashes else ():
        found = sha256_of(folder / file.name, shifted(progress, done, record.total_bytes, f"checking {file.name}"))
        require_sha256(file.name, found=found, expected=file.sha256, model=record.name)
        done += file.bytes
    return record


def _check_size(path: Path, file: ModelFile, model: str) -> None:
    again = f"Pull it again: {command('brightrun model pull --again', model)}"
    if not path.is_file():
        raise ModelError(f"{path} is missing.", hint=again, details={"file": file.name})
    size = path.stat().st_size
    if size != file.bytes:
        details = {"file": file.name, "found": size, "expected": file.bytes}
        raise ModelError(f"{path} has {size:,} bytes, expected {file.bytes:,}.", hint=again, details=details)


def find_pulled(name: str, models_home: Path) -> Path | None:
    """The folder of the pulled model of that name or hub id, or None where it was not pulled."""
    for folder, record in list_pulled(models_home):
        if name.lower() in {record.name.lower(), (record.hub_id or record.name).lower()}:
            return folder
    return None


def list_pulled(models_home: Path) -> list[tuple[Path, ModelRecord]]:
    """Every pulled model with its record, sorted by folder; what has no readable record is left out."""
    pulled = []
    for folder in sorted(models_home.iterdir()) if models_home.is_dir() else ():
        if folder.name.startswith(".") or not (folder / RECORD_NAME).is_file():
            continue
        try:
            pulled.append((folder, read_model_record(folder)))
        except ModelError:
            continue
    return pulled
