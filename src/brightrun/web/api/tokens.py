"""API tokens over HTTP: list, make, revoke one's own. A token's secret is in one answer only, that of its making."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from brightrun.database import tokens
from brightrun.database.tables import ApiToken
from brightrun.errors import NotFound
from brightrun.web.api.schemas import Listed
from brightrun.web.deps import PLAIN_JSON, After, Answer, CurrentPrincipal, Limit, StudioDep
from brightrun.web.problems import declared
from brightrun.web.tokens import issue_token

router = APIRouter(prefix="/api/tokens", tags=["tokens"])

TokenId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,100}$", description="The token's id, not the token.")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="What it is for, so that its owner knows which to revoke.")


class TokenView(Answer):
    """A token, but for its secret."""

    object: Literal["api_token"] = "api_token"
    id: str
    name: str
    prefix: str = Field(description="What it begins with.", examples=["brt_k3J9x0Qa"])
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class MadeToken(TokenView):
    """A token with its secret, which nothing shows again."""

    token: str = Field(examples=["the-token-as-it-is-shown-once"])


@router.get("", responses=declared(401, 403, 404))
def list_tokens(
    studio: StudioDep, principal: CurrentPrincipal, limit: Limit = 50, after: After = None
) -> Listed[TokenView]:
    """One's tokens, newest first, revoked ones too."""
    with studio.database.reading() as session:
        page = tokens.list_page(session, owner_id=principal.owner_id, limit=limit, after=after)
    return Listed(data=[TokenView.model_validate(row) for row in page.items], has_more=page.has_more)


@router.post("", dependencies=PLAIN_JSON, status_code=201, responses=declared(400, 401, 403, 413))
def make_token(studio: StudioDep, principal: CurrentPrincipal, wanted: NewToken) -> MadeToken:
    """Make a token for oneself: it reaches what its maker reaches. This answer is the only one with its secret."""
    with studio.database.session() as session:
        issued = issue_token(session, owner_id=principal.owner_id, name=wanted.name, now=studio.clock())
        shown = TokenView.model_validate(issued.row)
    return MadeToken(**shown.model_dump(), token=issued.secret)


@router.delete("/{token_id}", responses=declared(401, 403, 404))
def revoke_token(studio: StudioDep, principal: CurrentPrincipal, token_id: TokenId) -> TokenView:
    """End a token and every session that was opened with it, at once. One that is revoked already stays so."""
    with studio.database.session() as session:
        tokens.revoke(session, token_id, owner_id=principal.owner_id, now=studio.clock())
        row = session.get(ApiToken, token_id)
        if row is None or row.owner_id != principal.owner_id:
            raise NotFound(f"There is no token {token_id}.")
        return TokenView.model_validate(row)
