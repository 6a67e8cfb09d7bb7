"""A dataset of the Hugging Face hub as one file here: `hf:owner/name[@revision][:split]`."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from brightrun.catalogue.hashes import Progress
from brightrun.catalogue.pull.hub_errors import translated
from brightrun.catalogue.pull.transfer import Transfer
from brightrun.errors import DatasetError, ModelError

SCHEME = "hf:"
_ID = re.compile(r"hf:(?P<repo>[^@:\s]+/[^@:\s]+)(?:@(?P<revision>[^:\s]+))?(?::(?P<split>[\w.-]+))?")
_DATA = re.compile(r"\.(jsonl|json|csv|tsv|parquet)(\.gz)?$")
_NO_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "package.json", "config.json"})
_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test",
           "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation"}  # fmt: skip
_JOINABLE = frozenset({"jsonl", "parquet"})


class HubDataset(NamedTuple):
    """What was asked for. `revision` and `split` absent: the newest, and the only one or `train`."""

    repo: str
    revision: str | None
    split: str | None


def parse_hub_dataset(text: str) -> HubDataset:
    """Raises DatasetError where the text is no such id."""
    match = _ID.fullmatch(text)
    if match is None:
        raise DatasetError(
            f"{text} is not an id of a dataset on the hub.", hint="Write hf:owner/name, hf:owner/name@revision:split."
        )
    return HubDataset(match["repo"], match["revision"], match["split"])


def fetch_hub_dataset(
    wanted: HubDataset,
    home: Path,
    *,
    token: str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """The files of one split of one revision, as one file in `home`; what is there already is not fetched again.

    The file's name has the commit that the revision was, so that jobs and manifests record it.

    Raises:
        DatasetError: unknown, gated or unreachable repository, no data files, or several splits and none named.
    """
    from huggingface_hub import HfApi

    try:
        with translated(wanted.repo, wanted.revision, what="dataset"):
            info = HfApi(endpoint=endpoint, token=token).dataset_info(
                wanted.repo, revision=wanted.revision, files_metadata=True
            )
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or []}
        split, names = _files_of_split(wanted, list(sizes))
        kind = _kind(names[0])
        target = home / f"{wanted.repo.replace('/', '--')}@{info.sha}-{split}.{kind}"
        if target.exists():
            return target
        folder = home / f".partial-{target.name}"
        folder.mkdir(parents=True, exist_ok=True)
        total = sum(sizes[name] for name in names)
        transfer = Transfer(
            wanted.repo, str(info.sha), folder, token=token, endpoint=endpoint, total=total, progress=progress,
            repo_type="dataset",
        )  # fmt: skip
        for name in names:
            transfer.fetch(name)
    except ModelError as error:
        raise DatasetError(error.message, hint=error.hint, details=error.details) from error
    joined = folder / "joined"
    _join([folder / name for name in names], joined, kind)
    joined.replace(target)
    shutil.rmtree(folder, ignore_errors=True)
    return target


def _files_of_split(wanted: HubDataset, files: Sequence[str]) -> tuple[str, list[str]]:
    """The split that is meant and its files, in order."""
    splits: dict[str, list[str]] = {}
    for name in sorted(files):
        if _DATA.search(name) and Path(name).name not in _NO_DATA:
            splits.setdefault(_split_of(name), []).append(name)
    if not splits:
        raise DatasetError(
            f"{wanted.repo} has no JSON, JSONL, CSV or Parquet files.", hint="Choose a dataset with data files."
        )
    split = wanted.split or ("train" if "train" in splits else next(iter(splits)) if len(splits) == 1 else None)
    if split is None or split not in splits:
        raise DatasetError(
            f"{wanted.repo} has {'no split ' + split if split else 'several splits'}: {', '.join(sorted(splits))}.",
            hint=f"Name one: hf:{wanted.repo}:{next(iter(sorted(splits)))}",
            details={"splits": sorted(splits)},
        )
    names = splits[split]
    kinds = {_kind(name) for name in names}
    if len(names) > 1 and (len(kinds) > 1 or not kinds <= _JOINABLE):
        raise DatasetError(
            f"The split {split} of {wanted.repo} is {len(names)} files that cannot be joined: {', '.join(names[:5])}.",
            hint="Download the one that is meant and give it as a file.",
        )
    return split, names


def _split_of(name: str) -> str:
    """The split in a path, as the hub's own conventions have it; a file without one is for training."""
    parts = [part for part in re.split(r"[^a-z]+", name.casefold()) if part in _SPLITS]
    return _SPLITS[parts[-1]] if parts else "train"


def _kind(name: str) -> str:
    match = _DATA.search(name)
    assert match is not None
    return match[1]


def _join(parts: Sequence[Path], target: Path, kind: str) -> None:
    if kind == "parquet" and len(parts) > 1:
        return _join_parquet(parts, target)
    with target.open("wb") as out:
        for part in parts:
            with gzip.open(part) if part.suffix == ".gz" else part.open("rb") as stream:
                shutil.copyfileobj(stream, out, 1 << 20)
            if len(parts) > 1:
                out.write(b"\n")
    return None


def _join_parquet(parts: Sequence[Path], target: Path) -> None:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise DatasetError(
            "The dataset is several Parquet files; joining them takes pyarrow.",
            hint="Install it with `pip install 'brightrun[tables]'`.",
        ) from error
    schema = parquet.read_schema(parts[0])
    with parquet.ParquetWriter(target, schema) as out:
        for part in parts:
            for batch in parquet.ParquetFile(part).iter_batches(batch_size=1024):
                out.write_batch(batch.cast(schema))
