"""Speaks with a running studio over HTTP; what it refuses is raised as the same error it was there. Shows nothing."""

from __future__ import annotations

import io
import ipaddress
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from brightrun.contract.job_spec import file_sha256
from brightrun.errors import BrightRunError
from brightrun.settings import Settings

JOBS = "/api/training/jobs"
FILES = "/api/training/files"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_PATIENT = httpx.Timeout(1800.0, connect=5.0)  # audits and plans of large files are made before the answer
_TRIES = 4
_NOT_NOW = frozenset({502, 503, 504})
_BLOCK_BYTES = 1 << 20

ByteProgress = Callable[[int, int], None]


class StudioUnreachable(BrightRunError):
    """Nobody answers there, or the connection broke."""

    code = "studio_unreachable"
    default_hint = "Start it with `brightrun serve`, or set BRIGHTRUN_URL to where it runs."
    http_status = 503


class StudioRefused(BrightRunError):
    """The studio said no with a code that this version does not know."""

    code = "studio_refused"


class StudioClient:
    """One studio. `transport` is httpx's own seam, `sleep` waits between tries."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        headers = {"user-agent": "brightrun-cli", **({"authorization": f"Bearer {token}"} if token else {})}
        here = is_this_machine(url)
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=not here
        )
        self._sleep = sleep

    def __enter__(self) -> StudioClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        return self._asked("GET", path, params=query)

    def upload(self, path: Path, progress: ByteProgress) -> dict[str, Any]:
        """The dataset that a file is or becomes there; the same bytes are the same dataset."""
        headers = {"x-content-sha256": file_sha256(path)}

        def send() -> dict[str, Any]:
            with _Counted(path, progress) as stream:
                files = {"file": (_form_name(path), stream, "application/octet-stream")}
                return self._asked("POST", FILES, files=files, headers=headers, timeout=_PATIENT)

        return self._again(send)

    def start(self, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        """Start a job; the key makes it safe to ask again where the answer was lost."""
        headers = {"idempotency-key": key}
        path = "/api/training/start-job"
        return self._again(lambda: self._asked("POST", path, json=body, headers=headers, timeout=_PATIENT))

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"{JOBS}/{job_id}")

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._again(lambda: self._asked("PUT", path, json=body))

    def cancel(self, job_id: str, *, export_on_stop: bool = False) -> dict[str, Any]:
        query = {"export_on_stop": "true"} if export_on_stop else {}
        return self._again(lambda: self._asked("DELETE", f"{JOBS}/{job_id}", params=query))

    def retry(self, job_id: str, changes: dict[str, str]) -> dict[str, Any]:
        """Asked once only: a retry whose answer was lost may have been granted."""
        body = {"hyperparameters": changes}
        return self._asked("POST", f"{JOBS}/{job_id}/retry", json=body, timeout=_PATIENT)

    def download(self, job_id: str, target: Path, progress: ByteProgress) -> None:
        """The adapter's zip as a file, whole or not at all.

        Raises:
            StudioUnreachable: it did not arrive whole.
        """
        partial = target.with_name(f".{target.name}.partial")
        try:
            with self.stream("GET", f"{JOBS}/{job_id}/adapter.zip") as reply:
                total, done = int(reply.headers.get("content-length", 0)), 0
                with partial.open("wb") as stream:
                    for block in reply.iter_bytes(_BLOCK_BYTES):
                        stream.write(block)
                        done += len(block)
                        progress(done, total)
            _require_whole(partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def stream(self, method: str, path: str, **arguments: Any) -> Iterator[httpx.Response]:
        """An answer whose body is read by the caller."""
        with _reached(self.url), self._http.stream(method, path, **arguments) as reply:
            if not reply.is_success:
                reply.read()
                raise refusal(reply)
            yield reply

    def _asked(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        with _reached(self.url):
            reply = self._http.request(method, path, **arguments)
        if not reply.is_success:
            raise refusal(reply)
        try:
            said: dict[str, Any] = reply.json()
        except ValueError as error:
            raise _no_studio(self.url) from error
        return said

    def _again(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Repeat what can be repeated where the answer was lost; not where nobody was there to be asked."""
        for tried in range(1, _TRIES):
            try:
                return ask()
            except StudioUnreachable as error:
                if isinstance(error.__cause__, httpx.ConnectError):
                    raise
                self._sleep(0.5 * tried)
        return ask()


def studio_client(settings: Settings) -> StudioClient:
    return StudioClient(settings.url, settings.token.get_secret_value() if settings.token else None)


def is_this_machine(url: str) -> bool:
    """Whether an address is one of this machine alone, where no proxy stands between."""
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refusal(reply: httpx.Response) -> BrightRunError:
    """The studio's error as it was raised there; its class is found by its code."""
    try:
        said = reply.json()["error"]
        message, code = str(said["message"]), str(said["code"])
    except (ValueError, KeyError, TypeError):
        return _no_studio(str(reply.request.url.copy_with(path="/", query=None)).rstrip("/"))
    details = {**(said.get("details") or {}), "http_status": reply.status_code, "code": code}
    if "x-request-id" in reply.headers:
        details["request_id"] = reply.headers["x-request-id"]
    kind = StudioUnreachable if reply.status_code in _NOT_NOW else _kinds().get(code, StudioRefused)
    return kind(message, hint=said.get("hint") or None, details=details)


def _kinds() -> dict[str, type[BrightRunError]]:
    """Every error of the family by its code; the nearest to the root where two share one."""
    found: dict[str, type[BrightRunError]] = {}
    waiting = [BrightRunError]
    while waiting:
        kind = waiting.pop(0)
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found


def _form_name(path: Path) -> str:
    """The file's name, percent-encoded where a form could not carry it without doubt (RFC 7578, section 4.2)."""
    name = path.name
    doubtful = not name.isprintable() or any(letter in name for letter in '%"\\')
    return quote(os.fsencode(name), safe="") if doubtful else name


def _no_studio(url: str) -> StudioUnreachable:
    return StudioUnreachable(f"What answers at {url} is not a Bright Run studio.")


@contextmanager
def _reached(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise StudioUnreachable(f"The studio at {url} does not answer ({type(error).__name__}).") from error
    except httpx.InvalidURL as error:
        raise StudioUnreachable(f"{url} is not an address of a studio.") from error


def _require_whole(archive: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            damaged = opened.testzip()
    except zipfile.BadZipFile as error:
        raise StudioUnreachable("The adapter did not arrive whole.", hint="Download it again.") from error
    if damaged is not None:
        raise StudioUnreachable(f"{damaged} did not arrive whole.", hint="Download it again.")


class _Counted(io.FileIO):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, told: ByteProgress) -> None:
        super().__init__(path)
        self._told, self._bytes = told, path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes | Any:
        block = super().read(size)
        self._told(self.tell(), self._bytes)
        return block
