"""Wrappers around what a studio reaches: each call goes through, and then something may happen, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import httpx

from brightrun.compute.base import Compute, Machine, MachineRequest
from brightrun.errors import NotEnoughDisk, StorageError
from brightrun.storage.base import Storage, StoredFile


class Seam:
    """Every call of the studio to the outside passes here; after the n-th from now on something may happen, once."""

    def __init__(self) -> None:
        self._left = 0
        self._happens: Callable[[], None] | None = None

    def after(self, calls: int, happens: Callable[[], None]) -> None:
        self._left, self._happens = calls, happens

    def passed(self) -> None:
        self._left -= 1
        if self._left == 0 and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()


class SeamedCompute:
    """A provider behind the seam."""

    def __init__(self, compute: Compute, seam: Seam) -> None:
        self._compute, self._seam = compute, seam
        self.name, self.supports_spot, self.shares_disk = compute.name, compute.supports_spot, compute.shares_disk

    def launch(self, machine_request: MachineRequest) -> Machine:
        machine = self._compute.launch(machine_request)
        self._seam.passed()
        return machine

    def find(self, name: str) -> Machine | None:
        machine = self._compute.find(name)
        self._seam.passed()
        return machine

    def get(self, machine_id: str) -> Machine:
        machine = self._compute.get(machine_id)
        self._seam.passed()
        return machine

    def terminate(self, machine_id: str) -> None:
        self._compute.terminate(machine_id)
        self._seam.passed()

    def list_managed(self) -> list[Machine]:
        return self._compute.list_managed()


class SeamedTransport(httpx.BaseTransport):
    """The network to the workers behind the seam."""

    def __init__(self, transport: httpx.BaseTransport, seam: Seam) -> None:
        self._transport, self._seam = transport, seam

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._transport.handle_request(request)
        self._seam.passed()
        return response


class FaultyStorage:
    """A store behind the seam. It fails until `down_until`, and holds nothing new while it is `full`."""

    def __init__(self, storage: Storage, seam: Seam, clock: Callable[[], datetime]) -> None:
        self._storage, self._seam, self._clock = storage, seam, clock
        self.down_until: datetime | None = None
        self.full = False
        self.refusals = 0

    def put(self, key: str, source: Path | bytes | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        self._stand_up()
        if self.full:
            self.refusals += 1
            raise NotEnoughDisk(f"There is no room to store {key}.")
        stored = self._storage.put(key, source, sha256=sha256)
        self._seam.passed()
        return stored

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> BinaryIO:
        self._stand_up()
        return self._storage.open(key, start=start, end=end)

    def stat(self, key: str) -> StoredFile | None:
        self._stand_up()
        found = self._storage.stat(key)
        self._seam.passed()
        return found

    def list(self, prefix: str) -> Iterator[StoredFile]:
        self._stand_up()
        return self._storage.list(prefix)

    def delete(self, key: str) -> None:
        self._stand_up()
        self._storage.delete(key)

    def sweep_staging(self, *, older_than: timedelta = timedelta(days=1)) -> int:
        return self._storage.sweep_staging(older_than=older_than)

    def download_link(self, key: str, *, expires: timedelta, file_name: str | None = None) -> str:
        return self._storage.download_link(key, expires=expires, file_name=file_name)

    def upload_link(self, key: str, *, expires: timedelta, max_bytes: int) -> str:
        return self._storage.upload_link(key, expires=expires, max_bytes=max_bytes)

    def _stand_up(self) -> None:
        if self.down_until is not None and self._clock() < self.down_until:
            self.refusals += 1
            raise StorageError("The file store does not answer.")
