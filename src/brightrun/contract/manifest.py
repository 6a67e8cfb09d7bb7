"""What a bundle says of itself: every file with its hash, and everything the adapter came from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from brightrun.contract.earlier_names import with_current_names
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import ModelRef, Sha256, file_sha256
from brightrun.errors import BundleDamaged


class ManifestFile(BaseModel):
    """One file of the bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Path inside the bundle, with forward slashes.")
    bytes: int = Field(ge=0)
    sha256: Sha256


class Manifest(BaseModel):
    """`manifest.json` of a bundle. It lists every other file of the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["brightrun-bundle-1"] = "brightrun-bundle-1"
    job_id: str
    created_at: datetime
    base_model: ModelRef
    dataset_name: str
    dataset_sha256: Sha256
    split_sha256: Sha256
    template_sha256: Sha256 = Field(description="sha256 of the chat template the answers were trained under.")
    recipe: str
    hyperparameters: Hyperparameters
    fingerprint: Sha256 = Field(description="JobSpec.fingerprint() of the run.")
    packages: dict[str, str] = Field(description="Versions of the packages that trained it.")
    adapter_check: dict[str, Any] = Field(
        description="adapter-off-equals-base and adapter-on-differs, with their figures."
    )
    files: tuple[ManifestFile, ...]

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, document: Any) -> Any:
        return with_current_names(document)


def verify_bundle(folder: Path) -> Manifest:
    """The bundle's manifest, after every file in it was read and compared.

    Raises:
        BundleDamaged: the manifest or a file is absent, or a file's bytes are others than delivered.
    """
    try:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BundleDamaged(f"{folder} has no readable manifest.json.") from error
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file():
            raise BundleDamaged(f"{file.name} is missing from the bundle.")
        if file_sha256(path) != file.sha256:
            raise BundleDamaged(f"{file.name} is not the file that was delivered; its sha256 differs.")
    return manifest
