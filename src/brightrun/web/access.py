"""Who is asking. On this machine alone no login, but Host and Origin are checked; whose a job is, is asked in jobs/."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from fastapi import Request

from brightrun.web.problems import Forbidden

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who may act; everything they make carries `owner_id`."""

    owner_id: str
    means: Literal["loopback", "token", "session"]


@dataclass(frozen=True, slots=True)
class SignIn:
    """A person who signed in. `cookie`, good for `lifetime` and until `expires_at`, is absent where none is needed."""

    principal: Principal
    cookie: str | None = None
    expires_at: datetime | None = None
    lifetime: timedelta | None = None


@runtime_checkable
class Access(Protocol):
    """Says who sends a request."""

    @property
    def login_required(self) -> bool:
        """Whether a request without proof is refused."""

    def principal(self, request: Request) -> Principal:
        """Who sends it.

        Raises:
            NotSignedIn: it has no proof, or a wrong one.
            Forbidden: it comes from a page or under a name that is not the studio's.
        """

    def sign_in(self, request: Request, token: str) -> SignIn:
        """Exchange an API token for a session.

        Raises:
            NotSignedIn: the token is not one.
            TooManyRequests: too many wrong ones came from there.
        """


class LoopbackAccess:
    """Everybody at this machine is the owner; nobody else gets through, a web page in their browser neither.

    A page of another site can send requests here, directly or by a name of its own that resolves to this machine
    (DNS rebinding); its Origin, and the name it asks under, give it away.
    """

    login_required = False

    def __init__(self, owner_id: str = "local") -> None:
        self._principal = Principal(owner_id, "loopback")

    def principal(self, request: Request) -> Principal:
        if request.client is None or not _is_loopback(request.client.host):
            raise Forbidden("Only this machine itself may use the studio without a login.", hint=_SERVE_HINT)
        if any(name in request.headers for name in _FORWARDING):
            raise Forbidden(
                "The request was passed on by a proxy; this studio is for this machine only.", hint=_SERVE_HINT
            )
        if host_name(request) not in _LOCAL_NAMES:
            raise Forbidden("The studio is not reached under this name.", hint="Use http://localhost and its port.")
        require_own_origin(request)
        return self._principal

    def sign_in(self, request: Request, token: str) -> SignIn:  # noqa: ARG002 nobody needs to prove anything here
        return SignIn(self.principal(request))


_SERVE_HINT = "Serve it with a login: brightrun serve --help."


def require_own_origin(request: Request) -> None:
    """Refuse what a page of another origin sent.

    Browsers tell the origin with every request that may change something, and with every one whose answer a page of
    another origin could read (Fetch standard, section 3.1); programs send none.

    Raises:
        Forbidden
    """
    origin = request.headers.get("origin")
    if origin is not None and _authority(origin) != request.headers.get("host", "").lower():
        raise Forbidden("The request comes from a page of another site.", hint="Use the studio's own pages.")
    site = request.headers.get("sec-fetch-site", "none")
    if request.method not in SAFE_METHODS and site not in {"same-origin", "none"}:
        raise Forbidden("The request comes from a page of another site.", hint="Use the studio's own pages.")


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def host_name(request: Request) -> str:
    """The name in the Host header without its port; "" where it cannot be read."""
    try:
        return urlsplit("//" + request.headers.get("host", "")).hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
