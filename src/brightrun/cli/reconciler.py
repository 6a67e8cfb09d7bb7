"""The studio's own rounds: a thread that reconciles jobs until it is stopped, and the hold on a home that it needs."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from brightrun.database.claims import free_claims
from brightrun.errors import BrightRunError, MachineError
from brightrun.jobs.alarms import Overdue, overdue
from brightrun.jobs.examine_once import forget_deleted
from brightrun.jobs.reap import reap
from brightrun.jobs.reconcile import reconcile_once
from brightrun.jobs.studio import Studio
from brightrun.locks import take_lock

_log = logging.getLogger(__name__)
_LIMIT = 20
_REAP_SECONDS = 60.0


@contextmanager
def lock_home(home: Path) -> Iterator[str]:
    """Keep a home for one studio at a time; yields that home's name as a reconciler. Ends with the process, anyhow.

    Raises:
        MachineError: another studio has it.
    """
    lock = take_lock(home / "studio.lock")
    if lock is None:
        raise MachineError(
            f"A studio is running already with the home {home}.",
            hint="Stop it first, or give this one another BRIGHTRUN_HOME.",
        )
    with lock:
        yield _name(home / "studio.lock")


def _name(path: Path) -> str:
    """A name that no other home has and this one keeps; it stands in the lock's own file."""
    name = path.read_bytes()[:100].decode("ascii", "replace").strip()
    if len(name) != len("studio-") + 32:
        name = f"studio-{uuid.uuid4().hex}"
        path.write_text(name, encoding="ascii")
    return name


class Reconciler:
    """Looks after jobs in a thread of its own.

    Args:
        owner: The name of the claims. Nobody else may use it now: claims under it that are left are of a dead studio.

    Attributes:
        broke_off: Whether the last round did, so that a claim of it may be left.
    """

    def __init__(self, studio: Studio, owner: str) -> None:
        self._studio, self._owner = studio, owner
        self._stopped = threading.Event()
        self._reap_at = 0.0
        self.broke_off = False
        self._alarmed: frozenset[Overdue] = frozenset()
        # A daemon, so that a provider that does not answer cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        with self._studio.database.session() as session:
            free_claims(session, owner=self._owner)
        self._thread.start()

    def stop(self, patience: timedelta = timedelta(seconds=20)) -> bool:
        """Ask for the end and wait for the round that is under way; whether it ended in time."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(patience.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if time.monotonic() >= self._reap_at:
                self._reap_at = time.monotonic() + _REAP_SECONDS
                self._told(lambda: len(reap(self._studio).ended))
                self._told(self.raise_alarms)
                self._told(lambda: forget_deleted(self._studio))
                self._told(self._studio.storage.sweep_staging)
            if self._told(self._round) < _LIMIT:
                self._stopped.wait(self._studio.limits.poll.total_seconds())

    def _round(self) -> int:
        """One pass; a claim that the pass before could not let go, the database being away, is let go first."""
        if self.broke_off:
            with self._studio.database.session() as session:
                free_claims(session, owner=self._owner)
        self.broke_off = False
        return reconcile_once(self._studio, owner=self._owner, limit=_LIMIT)

    def raise_alarms(self) -> int:
        """A line in the log for each job that is too long in its state, once."""
        with self._studio.database.reading() as session:
            found = frozenset(overdue(session, now=self._studio.clock()))
        for job in sorted(found - self._alarmed, key=lambda job: job.since):
            _log.warning("%s", job)
        self._alarmed = found
        return len(found)

    def _told(self, act: Callable[[], int]) -> int:
        """What the act returns, or 0 and a line in the log."""
        try:
            return act()
        except BrightRunError as error:
            _log.warning("%s The round is made again.", error.message)
        except Exception:  # noqa: BLE001 the reconciler's loop, one of three broad excepts: it goes on whatever happens
            _log.exception("a round of the reconciler failed; it is made again")
        self.broke_off = True
        return 0
