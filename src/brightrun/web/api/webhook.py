"""Where workers push their journals to. Nothing of a body is believed before its signature was checked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brightrun.contract.messages import EventBatch, WebhookReply
from brightrun.contract.signatures import SignatureRefused, job_secret, verify
from brightrun.errors import NotSignedIn
from brightrun.jobs.record_event import record_events
from brightrun.web.deps import StudioDep
from brightrun.web.problems import BodyUnreadable, declared

PATH = "/api/training/webhook"
router = APIRouter(tags=["workers"])
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EventBatch"}}},
    },
    "security": [],
}


class _Claim(BaseModel):
    """Whose secret to check the signature with; a lie here only makes the signature wrong."""

    model_config = ConfigDict(extra="ignore")

    job_id: str = Field(min_length=1, max_length=100)


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(PATH, response_model_by_alias=True, responses=declared(400, 401, 404, 413), openapi_extra=_BODY)
def receive_events(request: Request, studio: StudioDep, body: Annotated[bytes, Depends(_body)]) -> WebhookReply:
    """A batch of a job's journal, signed as Standard Webhooks does with the job's own secret.

    In any order and any number of times. The answer says how far everything has arrived, and whether to go on.
    """
    now = studio.clock()
    try:
        claim = _Claim.model_validate_json(body)
    except ValidationError as error:
        raise BodyUnreadable("The body is not a batch of a journal.") from error
    try:
        secret = job_secret(studio.webhook_secret.get_secret_value(), claim.job_id)
        verify(secret, request.headers, body, now=now)
    except SignatureRefused as error:
        raise NotSignedIn(error.message, hint=error.hint) from error
    try:
        batch = EventBatch.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False, include_url=False)) from error
    return record_events(studio.database, batch, now=now)
