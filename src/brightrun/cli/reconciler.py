"""The studio's own rounds: a thread that reconciles jobs until it is stopped, and the hold on a home that it needs."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from brightrun.database.tables import TrainingJob
from brightrun.errors import BrightRunError, MachineError
from brightrun.jobs.reconcile import reconcile_once
from brightrun.jobs.studio import Studio

_log = logging.getLogger(__name__)
_LIMIT = 20


@contextmanager
def hold_home(home: Path) -> Iterator[str]:
    """Keep a home for one studio at a time; yields that home's name as a reconciler. Ends with the process, anyhow.

    Raises:
        MachineError: another studio has it.
    """
    descriptor = os.open(home / "studio.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MachineError(
                f"A studio is running already with the home {home}.",
                hint="Stop it first, or give this one another BRIGHTRUN_HOME.",
            ) from error
        yield _name(descriptor)
    finally:
        os.close(descriptor)


def _name(descriptor: int) -> str:
    """A name that no other home has and this one keeps."""
    kept = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
    if len(kept) != len("studio-") + 32:
        kept = f"studio-{uuid.uuid4().hex}"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, kept.encode("ascii"), 0)
        os.fsync(descriptor)
    return kept


class Reconciler:
    """Looks after jobs in a thread of its own.

    Args:
        owner: The name of the claims. Nobody else may use it now: claims under it that are left are of a dead studio.
    """

    def __init__(self, studio: Studio, owner: str) -> None:
        self._studio, self._owner = studio, owner
        self._stopped = threading.Event()
        # A daemon, so that a provider that does not answer cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        free_claims(self._studio, self._owner)
        self._thread.start()

    def stop(self, patience: timedelta = timedelta(seconds=20)) -> bool:
        """Ask for the end and wait for the round that is under way; whether it ended in time."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(patience.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._round() < _LIMIT:
                self._stopped.wait(self._studio.limits.poll.total_seconds())

    def _round(self) -> int:
        try:
            return reconcile_once(self._studio, owner=self._owner, limit=_LIMIT)
        except BrightRunError as error:
            _log.warning("%s The round is made again.", error.message)
        except Exception:  # noqa: BLE001 the reconciler's loop, one of three broad excepts: it goes on whatever happens
            _log.exception("a round of the reconciler failed; it is made again")
        return 0


def free_claims(studio: Studio, owner: str) -> int:
    """Let go what a studio of that name held when it was killed, instead of waiting until its claims lapse."""
    free = {"claim_owner": None, "claim_token": None, "claim_expires_at": None}
    with studio.database.session() as session:
        freed = session.scalars(
            update(TrainingJob).where(TrainingJob.claim_owner == owner).values(**free).returning(TrainingJob.id)
        ).all()
    return len(freed)
