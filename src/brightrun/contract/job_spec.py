"""What one training run is: frozen when submitted, read by the worker from `job.json`. Holds no secrets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from brightrun.contract.earlier_names import with_current_names
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.errors import ContractError

Sha256 = str


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetRef(_Frozen):
    """The prepared dataset of a job: where it lies beside the spec and which bytes it must be."""

    source_name: str = Field(description="File name the owner knows it by; no folder.")
    source_sha256: Sha256 = Field(description="sha256 of the owner's file.")
    train_path: str = Field(description="Prepared training conversations (JSONL), relative to the spec's folder.")
    train_sha256: Sha256
    validation_path: str = Field(description="Prepared held-out conversations (JSONL), relative to the spec's folder.")
    validation_sha256: Sha256
    split_sha256: Sha256 = Field(description="sha256 of the split's canonical JSON.")


class ModelRef(_Frozen):
    """The base model of a job."""

    name: str = Field(description="Name in the catalogue, or the folder's name.")
    hub_id: str | None = Field(None, description="Hub repository, where it has one.")
    revision: str = Field(description="Commit of the hub repository, or sha256 of the folder's files.")
    path: str = Field(
        description="Folder with the model's files. A worker server writes its own here where it keeps it elsewhere."
    )


class JobSpec(_Frozen):
    """A whole training run."""

    format: Literal["brightrun-job-1"] = "brightrun-job-1"
    job_id: str
    recipe: str = Field(description="Name of the recipe the hyperparameters began from.")
    hyperparameters: Hyperparameters
    model: ModelRef
    dataset: DatasetRef

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, document: Any) -> Any:
        return with_current_names(document)

    def fingerprint(self) -> Sha256:
        """sha256 of what decides the adapter's bits: everything but the job's id and the model folder's place."""
        body = self.model_dump(mode="json", exclude={"job_id": True, "model": {"path"}})
        return canonical_sha256(body)

    def save(self, path: Path) -> None:
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> JobSpec:
        """Read a spec.

        Raises:
            ContractError: the file is absent, not JSON, or not a spec of this version.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ContractError(
                f"There is no job to run at {path}.", hint="Start one with `brightrun train`."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ContractError(
                f"{path.name} is not a job of this version: {place}: {first['msg']}.",
                hint="Write it again with this version of brightrun.",
            ) from error


def canonical_sha256(value: object) -> Sha256:
    """sha256 of a JSON value, independent of key order and white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_sha256(path: Path) -> Sha256:
    """sha256 of a file's bytes, read in blocks of one MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
