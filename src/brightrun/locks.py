"""Locks between processes, kept in files; they end with the process that holds them, however it ends."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def take_lock(path: Path, *, wait_seconds: float = 0) -> FileLock | None:
    """The lock of that file, taken, or None while another process (or another object of this one) holds it.

    Args:
        path: The file; it is made, readable by its owner only, and stays. What stands in it is left alone.
        wait_seconds: How long to wait for it; below 0 for as long as it takes.

    Raises:
        OSError: the file cannot be opened.
    """
    lock = FileLock(path, timeout=wait_seconds, mode=0o600, thread_local=False)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout:
        return None
    return lock
