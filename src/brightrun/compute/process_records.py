"""What is written down of the worker processes on this machine, so that they are found again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from brightrun.errors import ComputeError
from brightrun.files import write_model
from brightrun.locks import take_lock


class ProcessRecord(BaseModel):
    """One machine. Holds no secret.

    `pid` is absent between the intent to start a process and the knowledge of its number, `port` until the server has
    chosen one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    started_at: datetime
    pid: int | None = None
    port: int | None = None
    ending_since: datetime | None = None

    @property
    def url(self) -> str | None:
        return None if self.port is None else f"http://127.0.0.1:{self.port}"


class ProcessRecords:
    """A folder with one file per machine, read and changed under a lock that all studios on this machine share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads or changes the records inside the block; the lock ends with the process.

        Raises:
            ComputeError: the folder cannot be used.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(self._folder / ".lock", wait_seconds=-1)
            assert lock is not None, "it waits for as long as it takes"
            with lock:
                yield
        except OSError as error:
            raise ComputeError(f"The records of the local workers cannot be used: {error.strerror}.") from error

    def all(self) -> list[ProcessRecord]:
        return [record for path in sorted(self._folder.glob("*.json")) if (record := self._read(path))]

    def by_name(self, name: str) -> ProcessRecord | None:
        return self._read(self._path(name))

    def by_id(self, machine_id: str) -> ProcessRecord | None:
        return next((record for record in self.all() if record.id == machine_id), None)

    def write(self, record: ProcessRecord) -> ProcessRecord:
        write_model(self._path(record.name), record)
        return record

    def remove(self, record: ProcessRecord) -> None:
        self._path(record.name).unlink(missing_ok=True)
        self.port_file(record).unlink(missing_ok=True)

    def log(self, record: ProcessRecord) -> Path:
        """Where the words of the worker server go."""
        return self._folder / f"{record.name}.log"

    def port_file(self, record: ProcessRecord) -> Path:
        """Where the server writes down which port it took."""
        return self._folder / f"{record.id}.port"

    def chosen_port(self, record: ProcessRecord) -> int | None:
        try:
            return int(self.port_file(record).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, path: Path) -> ProcessRecord | None:
        try:
            return ProcessRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ComputeError(
                f"{path} is not the record of a local worker.", hint="Remove it once no worker runs any more."
            ) from error
