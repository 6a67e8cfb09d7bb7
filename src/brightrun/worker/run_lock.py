"""One worker at a time on a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from brightrun.contract.run_folder import RunFolder
from brightrun.errors import RunFolderError
from brightrun.locks import take_lock


@contextmanager
def only_one(folder: RunFolder) -> Iterator[None]:
    """Two workers on one folder would write over each other; the lock ends with the process, however it ends.

    Raises:
        RunFolderError: another one has the folder.
    """
    lock = take_lock(folder.root / ".lock")
    if lock is None:
        raise RunFolderError(
            f"Another worker is running the job in {folder.root.name}.", hint="Wait for it, or stop it first."
        )
    with lock:
        yield
