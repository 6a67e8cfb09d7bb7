"""Takes over a base model that already lies on this machine in the Hugging Face format."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from brightrun.catalogue.folders import ModelRecord
from brightrun.catalogue.hashes import Progress, record_files
from brightrun.catalogue.pull.checks import is_wanted, require_base_files, require_weights
from brightrun.catalogue.pull.names import checked_name, local_name
from brightrun.catalogue.pull.staging import PullResult, now, put_in_place, require_free_space, staged_folder
from brightrun.errors import ModelError


def pull_from_folder(
    source: Path,
    models_home: Path,
    *,
    name: str | None = None,
    license: str | None = None,
    progress: Progress | None = None,
) -> PullResult:
    """Hard-links the folder's files, or copies them where the disk differs, and records their hashes.

    Args:
        source: A folder with config.json, tokenizer.json, a chat template and safetensors.
        models_home: Where pulled models live.
        name: The model's name here; by default the folder's, with `-local` added to a name of the catalogue.
        license: The model's license, as it is to be shown; unknown by default.
        progress: Called while hashing.

    Raises:
        ModelError: the folder lacks something that training needs.
        NotEnoughDisk: a copy is needed and does not fit.
    """
    source = source.expanduser().resolve()
    if not source.is_dir():
        raise ModelError(f"{source} is not a folder.", hint="Give a folder with config.json and *.safetensors.")
    require_base_files(source, str(source))
    require_weights(source, str(source))
    paths = [path for path in sorted(source.iterdir()) if path.is_file() and is_wanted(path.name)]
    chosen = checked_name(name) if name else local_name(source.name)
    models_home.mkdir(parents=True, exist_ok=True)
    if source.stat().st_dev != models_home.stat().st_dev:
        require_free_space(models_home, sum(path.stat().st_size for path in paths), f"A copy of {source}")
    with staged_folder(models_home, chosen) as staged:
        for path in paths:
            if path.name != "brightrun-model.json":
                _link_or_copy(path, staged / path.name)
        record = ModelRecord(
            name=chosen,
            source="folder",
            license=license or "unknown; see the model's own page",
            pulled_at=now(),
            files=record_files(staged, progress),
        )
        return put_in_place(staged, models_home, record)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
