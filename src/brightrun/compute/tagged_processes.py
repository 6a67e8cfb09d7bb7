"""Starts a process that carries a tag in its environment, and finds it and its children again by that tag.

A tag outlives the process that started it, is inherited, and cannot be taken for another's when a number is reused.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

TAG = "TRAINING_MACHINE_ID"
_LOOKS_AT_EXEC = 20

# What a worker needs of its surroundings. Everything else stays here, the studio's secrets first of all.
_PASSED = frozenset(
    "HOME LANG LANGUAGE LD_LIBRARY_PATH LOGNAME PATH SHELL SYSTEMROOT TEMP TMP TMPDIR TZ USER VIRTUAL_ENV".split()  # noqa: SIM905
)
_PASSED_BEGINNINGS = ("LC_", "XDG_", "PYTHON", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_", "DYLD_", "SSL_CERT_")


def worker_environment(given: Mapping[str, str], own: Mapping[str, str], tag: str) -> dict[str, str]:
    """`given` cut down to what a worker needs, with the machine's own variables and its tag."""
    kept = {key: value for key, value in given.items() if key in _PASSED or key.startswith(_PASSED_BEGINNINGS)}
    return {**kept, **own, TAG: tag}


def start_tagged(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process in a session of its own, its words going to the end of `log`; its number. May raise OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as words:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # A child that nobody waits for stays in the table as a zombie until its parent ends.
    threading.Thread(target=process.wait, name=f"wait for {process.pid}", daemon=True).start()
    return process.pid


def is_tagged(pid: int, tag: str) -> bool:
    """Whether a process of that number lives and carries the tag."""
    try:
        return _carries(psutil.Process(pid), tag)
    except psutil.NoSuchProcess:
        return False


def tagged(tag: str) -> list[psutil.Process]:
    """Every living process with the tag, oldest first."""
    return sorted(_all_tagged(tag), key=lambda process: process.create_time())


def signal_one(pid: int | None, tag: str, number: signal.Signals) -> None:
    """Send a signal to the process of that number where it carries the tag, and to no other."""
    if pid is not None and is_tagged(pid, tag):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).send_signal(number)


def signal_all(tag: str, number: signal.Signals) -> list[psutil.Process]:
    """Send a signal to every process with the tag; those it was sent to."""
    reached = []
    for process in tagged(tag):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        reached.append(process)
    return reached


def kill_all(tag: str, *, wait_seconds: float) -> bool:
    """Kill every process with the tag; whether none is left."""
    limit = time.monotonic() + wait_seconds
    while signal_all(tag, signal.SIGKILL):
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def _all_tagged(tag: str) -> Iterator[psutil.Process]:
    own = os.getpid()
    yield from _carrying([process for process in psutil.process_iter() if process.pid != own], tag)


def _carries(process: psutil.Process, tag: str) -> bool:
    return any(_carrying([process], tag))


def _carrying(processes: list[psutil.Process], tag: str) -> Iterator[psutil.Process]:
    """Those of the processes that live and carry the tag.

    In the middle of an exec a process shows an empty environment for a moment, so it is asked again: taken for
    another's it would outlive its machine. All are asked again together, because macOS never shows the environment of
    its own programs, of which a person has hundreds.
    """
    unclear = processes
    for look in range(_LOOKS_AT_EXEC + 1):
        time.sleep(0.001 if look else 0)
        shown = [(process, _environment(process)) for process in unclear]
        yield from (process for process, environment in shown if environment and environment.get(TAG) == tag)
        unclear = [process for process, environment in shown if environment is None]
        if not unclear:
            return


def _environment(process: psutil.Process) -> dict[str, str] | None:
    """Empty where it is dead (a zombie is), the kernel's or somebody else's; None where it lives and shows nothing."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return {}
        environment: dict[str, str] = process.environ()
        return environment or (None if process.memory_info().vms else {})  # the kernel's own have no memory
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return {}
