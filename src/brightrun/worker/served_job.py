"""One job on a worker server: its process, its delivery, its files and the adapter made of its last checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from brightrun.contract.job_spec import JobSpec
from brightrun.contract.messages import StartFile, WebhookReply
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason
from brightrun.worker.artifacts import RunFiles
from brightrun.worker.delivery import Delivery
from brightrun.worker.event_log_reader import EventLogReader
from brightrun.worker.job_record import JobRecord, RecordBook
from brightrun.worker.supervise import LOG_NAME, Supervisor, trainer_environment


class ServedJob:
    """Put together from its record; `begin` or `find_again` brings it to life."""

    def __init__(
        self,
        folder: RunFolder,
        book: RecordBook,
        *,
        worker: str,
        models: Path | None,
        now: Callable[[], datetime],
        grace: timedelta,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._folder, self._book = folder, book
        self.fingerprint = JobSpec.load(folder.spec).fingerprint()
        self.tail = EventLogReader(folder.event_log)
        self.files = RunFiles(folder, log_name=LOG_NAME)
        self.export_error: str | None = None
        self._export: threading.Thread | None = None
        self._export_process: subprocess.Popen[bytes] | None = None
        self._supervisor = Supervisor(
            folder, book, self.tail, models=models, now=now, grace=grace, at_limit=self.export
        )
        self._halt = threading.Event()
        self._sender: threading.Thread | None = None
        if book.record.webhook_url is not None:
            delivery = Delivery(
                book,
                self.tail,
                worker=worker,
                alive=lambda: self.alive,
                stop=self._stop_as_told,
                now=now,
                transport=transport,
            )
            self._sender = threading.Thread(target=delivery.run, args=(self._halt,), name="delivery", daemon=True)

    @property
    def record(self) -> JobRecord:
        return self._book.record

    @property
    def alive(self) -> bool:
        return self._supervisor.alive

    @property
    def exporting(self) -> bool:
        return self._export is not None and self._export.is_alive()

    @property
    def busy(self) -> bool:
        return self.alive or self.exporting

    def begin(self, files: Sequence[StartFile], *, complete: bool) -> None:
        if complete:
            self._supervisor.rest()
        else:
            self._supervisor.begin(files)
        self._send()

    def find_again(self) -> None:
        self._supervisor.find_again()
        self._send()

    def stop(self) -> None:
        self._supervisor.stop()

    def export_on_stop(self, reason: EndReason) -> None:
        """End the run after its step and have an adapter of it; returns at once, may be asked again.

        Where the process is gone already, the adapter is made of its last checkpoint; that is tried once.
        """
        if self.alive:
            self._supervisor.stop_after_step(reason)
        elif self.export_error is None:
            self.export()

    def _stop_as_told(self, reply: WebhookReply) -> None:
        if not reply.export_on_stop:
            self.stop()
        elif reply.reason in set(EndReason):
            self.export_on_stop(EndReason(reply.reason))

    def export(self) -> None:
        """Make the adapter of the last checkpoint in a process of its own; returns at once."""
        if self.exporting or (self._folder.adapter / "manifest.json").exists():
            return
        self.export_error = None
        self._export = threading.Thread(target=self._run_export, name="export", daemon=True)
        self._export.start()

    def close(self, *, last_output: timedelta = timedelta(0)) -> None:
        """End everything that runs for the job; its lines are sent for at most `last_output` more."""
        self._supervisor.stop()
        if self._export_process is not None:
            self._export_process.kill()
        if self._export is not None:
            self._export.join()
        if self._sender is not None:
            self._sender.join(timeout=last_output.total_seconds())
            self._halt.set()
            self._sender.join(timeout=1)

    def _send(self) -> None:
        if self._sender is not None:
            self._sender.start()

    def _run_export(self) -> None:
        self._export_process = subprocess.Popen(
            [sys.executable, "-m", "brightrun.worker", "export", str(self._folder.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=trainer_environment(os.environ),
        )
        _, said = self._export_process.communicate()
        if self._export_process.returncode != 0:
            self.export_error = said.decode("utf-8", errors="replace")[-2000:].strip() or "The export was ended."
