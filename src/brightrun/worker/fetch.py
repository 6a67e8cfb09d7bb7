"""Brings a job's files into its folder: what lies there is checked, what has an address is fetched. Knows no job."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx

from brightrun.contract.job_spec import file_sha256
from brightrun.contract.messages import StartFile
from brightrun.errors import BrightRunError, ContractError
from brightrun.files import require_free_space

_TRIES = 4
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


class FileMismatch(ContractError):
    """A file of the job is absent, or its bytes are others than the studio announced."""

    code = "file_mismatch"
    default_hint = "Start the job again; the studio sends its files anew."


class FetchFailed(BrightRunError):
    """A file of the job could not be fetched from the address the studio gave."""

    code = "fetch_failed"
    default_hint = "Retry; if it happens again, check that this machine can reach the studio's storage."


class FetchStopped(Exception):
    """Somebody stopped the job while its files were on their way."""


def check_files_here(folder: Path, files: Sequence[StartFile]) -> None:
    """The files that have no address lie in the folder.

    Raises:
        FileMismatch
    """
    for file in files:
        if file.url is None and not is_here(folder, file):
            raise FileMismatch(f"{file.name} does not lie in the job's folder as it was announced.")


def is_here(folder: Path, file: StartFile) -> bool:
    path = folder / file.name
    return path.is_file() and path.stat().st_size == file.bytes and file_sha256(path) == file.sha256


def fetch_files(
    folder: Path,
    files: Sequence[StartFile],
    *,
    stopped: threading.Event,
    transport: httpx.BaseTransport | None = None,
    pause_seconds: float = 1.0,
) -> None:
    """Fetch every file that has an address and is not here yet.

    Raises:
        FetchFailed: the address did not answer, or not with the file, after some tries.
        FileMismatch: it answered with other bytes.
        NotEnoughDisk
        FetchStopped: `stopped` was set.
    """
    missing = [file for file in files if file.url is not None and not is_here(folder, file)]
    require_free_space(folder, sum(file.bytes for file in missing), "Fetching the job's files")
    with httpx.Client(transport=transport, timeout=_TIMEOUT, follow_redirects=True, trust_env=False) as client:
        for file in missing:
            _fetch(client, folder / file.name, file, stopped, pause_seconds)


def _fetch(client: httpx.Client, path: Path, file: StartFile, stopped: threading.Event, pause_seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, _TRIES + 1):
        try:
            _fetch_once(client, path, file, stopped)
        except httpx.HTTPError as error:
            if number == _TRIES:
                # The address may carry a token, so it is not told.
                raise FetchFailed(f"{file.name} could not be fetched: {_words(error)}.") from None
            stopped.wait(pause_seconds * 2 ** (number - 1))
        else:
            return


def _fetch_once(client: httpx.Client, path: Path, file: StartFile, stopped: threading.Event) -> None:
    assert file.url is not None
    staging = path.with_name(f".{path.name}.partial")
    digest, size = hashlib.sha256(), 0
    with client.stream("GET", file.url) as reply, staging.open("wb") as target:
        reply.raise_for_status()
        for block in reply.iter_bytes(1 << 18):
            if stopped.is_set():
                raise FetchStopped
            size += len(block)
            if size > file.bytes:
                break
            digest.update(block)
            target.write(block)
    if stopped.is_set():
        raise FetchStopped
    if size != file.bytes or digest.hexdigest() != file.sha256:
        staging.unlink()
        raise FileMismatch(f"{file.name} arrived with other bytes than were announced.")
    staging.replace(path)


def _words(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"its address answered {error.response.status_code}"
    return type(error).__name__
