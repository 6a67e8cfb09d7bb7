"""Fetches single files of one hub revision into a folder and tells how many bytes have come."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from brightrun.catalogue.hashes import Progress
from brightrun.catalogue.pull.hub_errors import translated

RepoType = Literal["model", "dataset"]


class Transfer:
    """One download of several files, in turn: the hub's client fetches a large file in parallel pieces."""

    def __init__(
        self,
        hub_id: str,
        revision: str,
        folder: Path,
        *,
        token: str | None,
        endpoint: str | None,
        total: int,
        progress: Progress | None,
        repo_type: RepoType = "model",
    ) -> None:
        self.folder = folder
        self._repo_type = repo_type
        self._hub_id, self._revision = hub_id, revision
        self._token, self._endpoint = token, endpoint
        self._total, self._progress = total, progress
        self._done = 0

    def fetch(self, file_name: str) -> None:
        """Downloads the file, or what is missing of it.

        Raises:
            ModelError: the hub refused or the connection broke.
        """
        from huggingface_hub import hf_hub_download

        before = self._done
        with translated(self._hub_id, self._revision, what=self._repo_type):
            path = hf_hub_download(
                self._hub_id,
                file_name,
                repo_type=self._repo_type,
                revision=self._revision,
                local_dir=self.folder,
                token=self._token,
                endpoint=self._endpoint,
                tqdm_class=self._listener(file_name),
            )
        self._done = before + Path(path).stat().st_size
        self._tell(file_name)

    def add(self, size_bytes: int, file_name: str) -> None:
        """Counts bytes that have come, or takes them back where the client starts a file anew."""
        self._done += size_bytes
        self._tell(file_name)

    def _tell(self, file_name: str) -> None:
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total, f"downloading {file_name}")

    def _listener(self, file_name: str) -> Any:
        """A class with as much of a progress bar as the hub's client calls; it draws nothing."""
        transfer = self

        class Listener:
            total: float | None = None

            def __init__(self, *_: object, initial: int = 0, **__: object) -> None:
                transfer.add(int(initial or 0), file_name)

            def update(self, size_bytes: float | None = 1) -> None:
                transfer.add(int(size_bytes or 0), file_name)

            def ignore(self, *_: object, **__: object) -> None: ...

            # With update_transfer the client counts bytes written only, not a second time those received.
            update_transfer = set_transfer_postfix_str = set_postfix_str = set_description_str = ignore
            refresh = close = __exit__ = ignore

            def __enter__(self) -> Listener:
                return self

        return Listener
