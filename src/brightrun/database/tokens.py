"""API tokens as rows: only their hashes are here. Making and showing a token is done elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from brightrun.database.pages import Page, newest_first
from brightrun.database.tables import ApiToken

_USE_IS_NOTED_EVERY = timedelta(minutes=1)


def add(session: Session, token: ApiToken) -> ApiToken:
    session.add(token)
    session.flush()
    return token


def find_live(session: Session, token_sha256: str) -> ApiToken | None:
    """The token with this hash, unless it was revoked."""
    query = select(ApiToken).where(ApiToken.token_sha256 == token_sha256, ApiToken.revoked_at.is_(None))
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def use_is_worth_noting(token: ApiToken, now: datetime) -> bool:
    """Whether `note_use` would write: asked first, so that most requests need no write transaction."""
    return token.last_used_at is None or now - token.last_used_at >= _USE_IS_NOTED_EVERY


def note_use(session: Session, token_id: str, *, at: datetime) -> None:
    """Write down when a token was used, at most once a minute."""
    stale = ApiToken.last_used_at.is_(None) | (ApiToken.last_used_at <= at - _USE_IS_NOTED_EVERY)
    session.execute(
        update(ApiToken).where(ApiToken.id == token_id, stale).values(last_used_at=at),
        execution_options={"synchronize_session": "fetch"},
    )


def list_page(session: Session, *, owner_id: str, limit: int = 50, after: str | None = None) -> Page[ApiToken]:
    """Newest first, revoked ones too.

    Raises:
        NotFound: `after` is not in the list.
    """
    return newest_first(session, ApiToken, ApiToken.owner_id == owner_id, limit=limit, after=after)


def revoke(session: Session, token_id: str, *, owner_id: str, now: datetime) -> bool:
    """Whether a live token of that owner was revoked by this."""
    live = (ApiToken.id == token_id) & (ApiToken.owner_id == owner_id) & ApiToken.revoked_at.is_(None)
    statement = update(ApiToken).where(live).values(revoked_at=now).returning(ApiToken)
    options = {"synchronize_session": False, "populate_existing": True}
    return session.scalars(statement, execution_options=options).one_or_none() is not None
