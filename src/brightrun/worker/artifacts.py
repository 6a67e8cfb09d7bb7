"""Which files of a run may be fetched, with the hashes already known, and byte ranges of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from brightrun.contract.job_spec import file_sha256
from brightrun.contract.manifest import Manifest
from brightrun.contract.messages import ArtifactFile, CheckpointFiles
from brightrun.contract.run_folder import RunFolder
from brightrun.worker.checkpoint import Seal

_SEAL_NAME = "checkpoint.json"
_BLOCK = 1 << 18


class RunFiles:
    """The files of one run's folder that others may have. Anything else has no name here, so it cannot be asked for."""

    def __init__(self, folder: RunFolder, *, log_name: str) -> None:
        self._folder = folder
        self._loose = (folder.comparison.name, folder.report.name, folder.event_log.name, log_name)
        self._hashes: dict[tuple[str, int, int], str] = {}

    def artifacts(self) -> tuple[ArtifactFile, ...]:
        """Everything of an ended run: the bundle as its manifest lists it, comparison, report, journal and log."""
        names = [name for name in self._loose if (self._folder.root / name).is_file()]
        return (*self._bundle(), *(self._hashed(name) for name in names))

    def checkpoint(self) -> CheckpointFiles | None:
        """The newest sealed checkpoint; its digests are the seal's."""
        for place in sorted(self._folder.checkpoints.glob("step-*"), reverse=True):
            try:
                seal = Seal.model_validate_json((place / _SEAL_NAME).read_bytes())
                files = [self._listed(place / name, digest) for name, digest in seal.files.items()]
                files.append(self._hashed(self._name(place / _SEAL_NAME)))
            except (OSError, ValidationError):
                continue  # being replaced by a newer one
            return CheckpointFiles(step=seal.step, files=tuple(files))
        return None

    def find(self, name: str) -> Path | None:
        """The file of that name, or None where there is none that may be had."""
        checkpoint = self.checkpoint()
        known = {*self._loose, *(file.name for file in self._bundle())}
        known |= {file.name for file in checkpoint.files} if checkpoint else set()
        path = self._folder.root / name
        return path if name in known and path.is_file() and not path.is_symlink() else None

    def _bundle(self) -> list[ArtifactFile]:
        path = self._folder.adapter / "manifest.json"
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return []
        prefix = self._folder.adapter.name
        listed = [ArtifactFile(name=f"{prefix}/{f.name}", bytes=f.bytes, sha256=f.sha256) for f in manifest.files]
        return [*listed, self._hashed(f"{prefix}/manifest.json")]

    def _listed(self, path: Path, digest: str) -> ArtifactFile:
        return ArtifactFile(name=self._name(path), bytes=path.stat().st_size, sha256=digest)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder.root).as_posix()

    def _hashed(self, name: str) -> ArtifactFile:
        path = self._folder.root / name
        facts = path.stat()
        key = (name, facts.st_size, facts.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = file_sha256(path)
        return ArtifactFile(name=name, bytes=facts.st_size, sha256=self._hashes[key])


def read_range(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Exactly the bytes from `start` to before `end`, also while the file grows."""
    with path.open("rb") as stream:
        stream.seek(start)
        left = end - start
        while left > 0 and (block := stream.read(min(_BLOCK, left))):
            left -= len(block)
            yield block
