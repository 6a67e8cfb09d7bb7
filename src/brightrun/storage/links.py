"""Signed links to single files, served by the studio itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Literal

from brightrun.errors import LinkRefused
from brightrun.storage.base import Storage, StoredFile
from brightrun.storage.keys import check_key

LinkMethod = Literal["GET", "PUT"]
LINK_PATH = "/api/storage/"
_PURPOSE = b"brightrun-storage-link-1:"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a link allows: one method on one key until a moment."""

    method: LinkMethod
    key: str
    expires_at: datetime
    file_name: str | None = None
    max_bytes: int | None = None


class LinkSigner:
    """Makes and reads the token of a link: the grant in clear, and its HMAC-SHA256.

    Args:
        secret: Key of the signatures; at least 16 characters.
        base_url: The studio's own address, without a slash at its end.
    """

    def __init__(self, secret: str, base_url: str) -> None:
        if len(secret) < 16:
            raise ValueError("the secret of storage links has at least 16 characters")
        self._secret = secret.encode("utf-8")
        self._base_url = base_url.rstrip("/")

    def link(self, grant: Grant) -> str:
        return f"{self._base_url}{LINK_PATH}{self.token(grant)}"

    def token(self, grant: Grant) -> str:
        body: dict[str, object] = {
            "m": grant.method,
            "k": grant.key,
            "e": int(grant.expires_at.timestamp()),
            "f": grant.file_name,
            "b": grant.max_bytes,
        }
        text = json.dumps({name: value for name, value in body.items() if value is not None}, separators=(",", ":"))
        payload = _encode(text.encode("utf-8"))
        return f"{payload}.{_encode(self._signature(payload))}"

    def redeem(self, token: str, method: str, now: datetime) -> Grant:
        """What the token allows.

        Raises:
            LinkRefused: it is forged or damaged, has expired, or is for another method (a GET link serves HEAD too).
        """
        payload, _, signature = token.partition(".")
        if not hmac.compare_digest(_decode(signature), self._signature(payload)):
            raise LinkRefused("The link is not one that this studio made.")
        body = json.loads(_decode(payload))
        grant = Grant(body["m"], body["k"], datetime.fromtimestamp(body["e"], UTC), body.get("f"), body.get("b"))
        if now >= grant.expires_at:
            raise LinkRefused(f"The link expired at {grant.expires_at:%Y-%m-%d %H:%M} UTC.")
        if grant.method != ("GET" if method.upper() == "HEAD" else method.upper()):
            raise LinkRefused(f"The link is for {grant.method} only.")
        return grant

    def _signature(self, payload: str) -> bytes:
        return hmac.new(self._secret, _PURPOSE + payload.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def grant_until(moment: datetime, method: LinkMethod, key: str, expires: timedelta) -> Grant:
    """A grant on a checked key; `expires` is longer than no time at all."""
    if expires <= timedelta(0):
        raise ValueError("a link must be valid for some time")
    return Grant(method, check_key(key), moment + expires)


def receive_upload(storage: Storage, grant: Grant, stream: BinaryIO) -> StoredFile:
    """Store what is sent to an upload link.

    Raises:
        LinkRefused: it is not an upload link, or more is sent than the link allows; nothing is stored then.
    """
    if grant.method != "PUT":
        raise LinkRefused("The link is for GET only.")
    return storage.put(grant.key, _Limited(stream, grant.max_bytes))  # type: ignore[arg-type]  # put only reads


class _Limited:
    """Reads a stream and refuses the byte after the last allowed one."""

    def __init__(self, stream: BinaryIO, limit: int | None) -> None:
        self._stream = stream
        self._limit = limit
        self._seen = 0

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._seen += len(block)
        if self._limit is not None and self._seen > self._limit:
            raise LinkRefused(f"The upload has more than the {self._limit} bytes that the link allows.")
        return block


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise LinkRefused("The link is damaged; it was not copied whole.") from error
    if _encode(data) != text:  # one token, one spelling
        raise LinkRefused("The link is damaged; it was not copied whole.")
    return data
