"""A dataset's conversations over HTTP: list them, and read only some of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from brightrun.datasets.list_conversations import ListedConversation
from brightrun.jobs.choose_conversations import choose_conversations, conversations_of
from brightrun.web.api import files
from brightrun.web.api.schemas import FileView, Listed
from brightrun.web.deps import PLAIN_JSON, Answer, CurrentPrincipal, FileId, StudioDep
from brightrun.web.problems import declared
from brightrun.web.receive import scratch_folder

router = APIRouter(prefix=files.PATH, tags=["datasets"])


class ConversationView(Answer):
    """A conversation of a dataset's file, whether it is read or not."""

    object: Literal["training.conversation"] = "training.conversation"
    id: str
    number: int = Field(description="Its place in the file, from 1.")
    title: str | None = Field(description="What it is called; not every format says.")
    turns: int = Field(description="Messages of both sides.")
    created_at: datetime | None = Field(description="When it was begun; not every format says.")
    chosen: bool = Field(description="Whether the dataset's choices take it.")

    @classmethod
    def of(cls, listed: ListedConversation) -> ConversationView:
        return cls.model_validate(listed)


class Choose(BaseModel):
    """Which conversations are to be read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choose: list[Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        min_length=1,
        description="Ids, numbers from 1, ranges such as `3-9`, or words of titles.",
        examples=[["0b6f1c1e-6a43-4c62-9a5e-0a4f2a7d9b11", "3-9"]],
    )
    replace: bool = Field(
        default=False, description="Delete the dataset that is chosen from, unless a job was made of it."
    )


@router.get("/{file_id}/conversations", responses=declared(400, 401, 403, 404))
def list_conversations(
    studio: StudioDep,
    principal: CurrentPrincipal,
    file_id: FileId,
    limit: Annotated[int, Query(ge=1, le=100_000, description="How many at most.")] = 1000,
    after: Annotated[int, Query(ge=0, le=10**9, description="Number of the last one seen.")] = 0,
) -> Listed[ConversationView]:
    """Every conversation of the dataset's file in its order, those too that were not chosen."""
    with scratch_folder(studio.home) as folder:
        found = conversations_of(studio, owner_id=principal.owner_id, file_id=file_id, folder=folder)
    part = found[after : after + limit]
    return Listed(data=[ConversationView.of(one) for one in part], has_more=len(found) > after + limit)


@router.post("/{file_id}/choose", dependencies=PLAIN_JSON, status_code=201, responses=declared(400, 401, 403, 404, 413))
def choose(studio: StudioDep, principal: CurrentPrincipal, file_id: FileId, request: Choose) -> FileView:
    """Read the same file with only these conversations, and else as before: a dataset of its own."""
    row = choose_conversations(
        studio, owner_id=principal.owner_id, file_id=file_id, choose=request.choose, replace=request.replace
    )
    return FileView.of(row)
