"""API tokens: made, shown once, known afterwards by their hash only."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from brightrun.database import tokens
from brightrun.database.tables import ApiToken

TOKEN_PREFIX = "brt_"  # noqa: S105 so that scanners of leaked secrets know one
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. `secret` can never be shown again."""

    row: ApiToken
    secret: str = field(repr=False)


def issue_token(session: Session, *, owner_id: str, name: str, now: datetime) -> IssuedToken:
    """Make a token with 256 random bits for an owner."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        owner_id=owner_id,
        name=name,
        token_sha256=token_sha256(secret),
        prefix=secret[: len(TOKEN_PREFIX) + _SHOWN],
        created_at=now,
    )
    return IssuedToken(tokens.add(session, row), secret)


def token_sha256(secret: str) -> str:
    """A plain hash is enough: nobody can try out 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
