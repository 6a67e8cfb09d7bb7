"""A prompt of one's own, answered by the base and by the tuned model of a job that completed."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from brightrun.errors import Conflict
from brightrun.evaluation.measurements import Generated
from brightrun.jobs.ownership import owned
from brightrun.jobs.playground import Playground, Question
from brightrun.jobs.studio import Studio
from brightrun.web.deps import PLAIN_JSON, Answer, CurrentPrincipal, JobId, StudioDep
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training/jobs/{job_id}/chat", tags=["jobs"])


async def _playground(request: Request) -> Playground:
    found = request.app.state.playground
    assert isinstance(found, Playground)
    return found


PlaygroundDep = Annotated[Playground, Depends(_playground)]


class ChatState(Answer):
    """Whether the models of a job can be asked."""

    object: Literal["training.chat"] = "training.chat"
    possible: bool
    loaded: bool = Field(description="They are loaded already, so the answer comes sooner.")
    message: str | None = Field(description="Why they cannot be asked.")
    hint: str | None = Field(description="What would have to be done, and what a machine for it costs.")


class Answers(Answer):
    """What both said."""

    object: Literal["training.chat.answers"] = "training.chat.answers"
    base: Generated
    tuned: Generated
    seconds: float


@router.get("", responses=declared(401, 403, 404))
def show_chat(studio: StudioDep, principal: CurrentPrincipal, playground: PlaygroundDep, job_id: JobId) -> ChatState:
    """Whether the base and the tuned model can be asked now; loads nothing."""
    return chat_state(studio, playground, principal.owner_id, job_id)


@router.post("", dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 404, 409, 413))
def ask(principal: CurrentPrincipal, playground: PlaygroundDep, job_id: JobId, question: Question) -> Answers:
    """Ask both. The first question loads them, which takes a while; they are unloaded after five minutes."""
    began = time.monotonic()
    answers = playground.ask(principal.owner_id, job_id, question)
    return Answers(base=answers["base"], tuned=answers["tuned"], seconds=time.monotonic() - began)


def chat_state(studio: Studio, playground: Playground, owner_id: str, job_id: str) -> ChatState:
    """Raises NotFound: the owner has no such job."""
    with studio.database.reading() as session:
        job = owned(session, owner_id, job_id)
    try:
        playground.require_possible(job)
    except Conflict as error:
        return ChatState(possible=False, loaded=False, message=error.message, hint=error.hint)
    return ChatState(possible=True, loaded=playground.loaded_job == job_id, message=None, hint=None)
