"""Downloads a base model from the Hugging Face hub: small files, weights, hashes, one rename."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from brightrun.catalogue.folders import ModelRecord
from brightrun.catalogue.hashes import ModelFile, Progress, require_sha256, sha256_of, shifted
from brightrun.catalogue.pull.checks import is_wanted, require_base_files, require_weights
from brightrun.catalogue.pull.hub_errors import translated
from brightrun.catalogue.pull.names import checked_name, local_name
from brightrun.catalogue.pull.staging import PullResult, now, put_in_place, require_free_space
from brightrun.catalogue.pull.transfer import Transfer
from brightrun.errors import ModelError
from brightrun.plain_text import command

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling


def pull_from_hub(
    hub_id: str,
    models_home: Path,
    *,
    name: str | None = None,
    revision: str | None = None,
    license: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> PullResult:
    """Downloads what training needs of one revision. A broken download is continued by the same call.

    Args:
        hub_id: The repository, `owner/name`.
        models_home: Where pulled models live.
        name: The model's name here; by default made from the hub id.
        revision: Commit, tag or branch; the resolved commit is recorded. By default the newest.
        license: As it is to be shown; by default what the repository says.
        token: For gated models; by default the one that `hf auth login` has kept.
        endpoint: Address of the hub or a mirror; by default the public one.
        progress: Called while downloading.

    Raises:
        ModelError: unknown, gated or unreachable repository; no chat template; a wrong hash.
        NotEnoughDisk: the files do not fit. Asked before the first byte.
    """
    from huggingface_hub import HfApi

    chosen = checked_name(name) if name else local_name(hub_id.rpartition("/")[2])
    with translated(hub_id, revision):
        info = HfApi(endpoint=endpoint, token=token).model_info(hub_id, revision=revision, files_metadata=True)
    files = _wanted_files(info, hub_id)
    total = sum(file.size or 0 for file in files)
    with _partial_folder(models_home, f".partial-{chosen}-{info.sha}", total, hub_id) as partial:
        transfer = Transfer(
            hub_id, str(info.sha), partial, token=token, endpoint=endpoint, total=total, progress=progress
        )
        _download(files, hub_id, transfer)
        record = ModelRecord(
            name=chosen,
            hub_id=hub_id,
            revision=info.sha,
            source="hub",
            license=license or _license(info),
            pulled_at=now(),
            files=_checked_files(partial, files, chosen, progress),
        )
        shutil.rmtree(partial / ".cache", ignore_errors=True)
        return put_in_place(partial, models_home, record)


@contextmanager
def _partial_folder(models_home: Path, name: str, total_bytes: int, hub_id: str) -> Iterator[Path]:
    """A hidden folder that outlives a failure only where weights, whole or in part, are in it."""
    folder = models_home / name
    require_free_space(models_home, max(total_bytes - _bytes_below(folder), 0), hub_id)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        if not any(path.suffix in {".safetensors", ".incomplete"} for path in folder.rglob("*")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _wanted_files(info: ModelInfo, hub_id: str) -> list[RepoSibling]:
    """Small files first, so that a model without a template is refused before its weights are downloaded."""
    files = [file for file in info.siblings or [] if is_wanted(file.rfilename)]
    if not any(file.rfilename.endswith(".safetensors") for file in files):
        raise ModelError(f"{hub_id} has no safetensors weights.", hint="Choose a model in the Hugging Face format.")
    return sorted(files, key=lambda file: (file.rfilename.endswith(".safetensors"), file.rfilename))


def _download(files: list[RepoSibling], hub_id: str, transfer: Transfer) -> None:
    checked = False
    for file in files:
        if file.rfilename.endswith(".safetensors") and not checked:
            require_base_files(transfer.folder, hub_id)
            checked = True
        transfer.fetch(file.rfilename)
    require_weights(transfer.folder, hub_id)


def _checked_files(
    folder: Path, files: list[RepoSibling], model: str, progress: Progress | None
) -> tuple[ModelFile, ...]:
    checked: list[ModelFile] = []
    total = sum((folder / file.rfilename).stat().st_size for file in files)
    for file in files:
        done = sum(earlier.bytes for earlier in checked)
        on_bytes = shifted(progress, done, total, f"checking {file.rfilename}")
        checked.append(_checked_file(folder, file, model, on_bytes))
    return tuple(checked)


def _checked_file(folder: Path, file: RepoSibling, model: str, on_bytes: Callable[[int], None] | None) -> ModelFile:
    """Compares with the hub's own hash: sha256 for large files, git's blob id for small ones."""
    path = folder / file.rfilename
    found = sha256_of(path, on_bytes)
    try:
        if file.lfs is not None:
            require_sha256(file.rfilename, found=found, expected=file.lfs.sha256, model=model)
        elif file.blob_id is not None and _git_blob_id(path) != file.blob_id:
            raise ModelError(
                f"{file.rfilename} of {model} is damaged: its git id is not {file.blob_id}.",
                hint=f"Pull it again: {command('brightrun model pull --again', model)}",
            )
    except ModelError:
        # What is right stays, so that pulling again fetches only this file.
        path.unlink()
        raise
    return ModelFile(name=file.rfilename, bytes=path.stat().st_size, sha256=found)


def _git_blob_id(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _license(info: ModelInfo) -> str:
    card = info.card_data
    license = (card.get("license_name") or card.get("license")) if card is not None else None
    return str(license or "unknown; see the model's own page")
