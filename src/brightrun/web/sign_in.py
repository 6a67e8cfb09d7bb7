"""Access with a login: API tokens as bearer for programs, and a signed session cookie for people who gave one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from fastapi import Request
from pydantic import SecretStr

from brightrun.database import tokens
from brightrun.database.database import Database
from brightrun.database.tables import ApiToken
from brightrun.errors import NotSignedIn
from brightrun.web.access import Principal, SignIn, host_name, require_own_origin
from brightrun.web.problems import Forbidden
from brightrun.web.rate_limit import FailureLimit
from brightrun.web.tokens import token_sha256

SESSION_COOKIE = "brightrun_session"
_PURPOSE = b"brightrun-session-1:"


class SignedInAccess:
    """Tokens and sessions, both checked against the database at every request: a revoked token ends its sessions.

    Args:
        secret: Signs the cookies.
        hosts: Names the studio is reached under, lower case, without port; None: any.
        clock: Now, with zone.
        session_lifetime: After this a person signs in again.
    """

    login_required = True

    def __init__(
        self,
        database: Database,
        secret: SecretStr,
        *,
        clock: Callable[[], datetime],
        hosts: Collection[str] | None = None,
        session_lifetime: timedelta = timedelta(hours=12),
        failures: FailureLimit | None = None,
    ) -> None:
        self._database, self._clock = database, clock
        self._key = hmac.new(secret.get_secret_value().encode("utf-8"), _PURPOSE, hashlib.sha256).digest()
        self._hosts = None if hosts is None else frozenset(hosts)
        self._session_lifetime = session_lifetime
        self._failures = failures or FailureLimit(clock)

    def principal(self, request: Request) -> Principal:
        self._require_host(request)
        if (header := request.headers.get("authorization")) is not None:
            scheme, _, given = header.partition(" ")
            if scheme.lower() != "bearer":
                raise NotSignedIn("The Authorization header is not of the kind Bearer.")
            return Principal(self._live(given.strip()).owner_id, "token")
        if (cookie := request.cookies.get(SESSION_COOKIE)) is not None:
            require_own_origin(request)
            return self._of_cookie(cookie)
        raise NotSignedIn("Nobody is signed in.")

    def sign_in(self, request: Request, token: str) -> SignIn:
        self._require_host(request)
        require_own_origin(request)
        place = request.client.host if request.client else ""
        self._failures.check(place)
        try:
            row = self._live(token)
        except NotSignedIn:
            self._failures.note(place)
            raise
        expires_at = self._clock() + self._session_lifetime
        cookie = self._cookie(row.id, expires_at)
        return SignIn(Principal(row.owner_id, "session"), cookie, expires_at, self._session_lifetime)

    def _require_host(self, request: Request) -> None:
        if self._hosts is not None and host_name(request) not in self._hosts:
            raise Forbidden("The studio is not reached under this name.", hint="Use the studio's own address.")

    def _live(self, secret: str) -> ApiToken:
        with self._database.reading() as session:
            row = tokens.find_live(session, token_sha256(secret))
        if row is None:
            raise NotSignedIn("The API token is not known, or it was revoked.")
        now = self._clock()
        if tokens.use_is_worth_noting(row, now):
            with self._database.session() as session:
                tokens.note_use(session, row.id, at=now)
        return row

    def _of_cookie(self, cookie: str) -> Principal:
        token_id, expires_at = self._read(cookie)
        if self._clock() >= expires_at:
            raise NotSignedIn("The session is over.", hint="Sign in again.")
        with self._database.reading() as session:
            row = session.get(ApiToken, token_id)
        if row is None or row.revoked_at is not None:
            raise NotSignedIn("The token of this session was revoked.", hint="Sign in with another token.")
        return Principal(row.owner_id, "session")

    def _cookie(self, token_id: str, expires_at: datetime) -> str:
        said = f"{token_id}.{int(expires_at.timestamp())}"
        return f"{said}.{self._signature(said)}"

    def _read(self, cookie: str) -> tuple[str, datetime]:
        said, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(said).encode()):
            raise NotSignedIn("The session is not one of this studio.", hint="Sign in again.")
        token_id, _, expires = said.rpartition(".")
        return token_id, datetime.fromtimestamp(int(expires), UTC)

    def _signature(self, said: str) -> str:
        digest = hmac.new(self._key, said.encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
