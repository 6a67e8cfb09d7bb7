"""What routes are given (the studio, who asks, how to page), and how money and ids look in requests and answers."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from brightrun.jobs.studio import Studio
from brightrun.web.access import Access, Principal
from brightrun.web.options import WebOptions
from brightrun.web.problems import BodyUnreadable

_ID = r"^[A-Za-z0-9_-]{1,100}$"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_EXAMPLE = "0b6f1c1e-6a43-4c62-9a5e-0a4f2a7d9b11"


async def _studio(request: Request) -> Studio:
    studio = request.app.state.studio
    assert isinstance(studio, Studio)
    return studio


async def _options(request: Request) -> WebOptions:
    options = request.app.state.options
    assert isinstance(options, WebOptions)
    return options


async def access_of(request: Request) -> Access:
    access = request.app.state.access
    assert isinstance(access, Access)
    return access


def _principal(request: Request, access: Annotated[Access, Depends(access_of)]) -> Principal:
    return access.principal(request)


async def _whole_letters(request: Request) -> None:
    """Refuse JSON with half a surrogate pair, which is no letter: nothing behind here could store or hash it."""
    body = await request.body()
    if not _HALF.search(body):
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BodyUnreadable("The body holds half a surrogate pair, which is no letter.") from error


PLAIN_JSON = [Depends(_whole_letters)]
StudioDep = Annotated[Studio, Depends(_studio)]
OptionsDep = Annotated[WebOptions, Depends(_options)]
AccessDep = Annotated[Access, Depends(access_of)]
CurrentPrincipal = Annotated[Principal, Depends(_principal)]

JobId = Annotated[str, Path(alias="job_id", pattern=_ID, description="The job's id.", examples=[_EXAMPLE])]
FileId = Annotated[str, Path(alias="file_id", pattern=_ID, description="The dataset's id.", examples=[_EXAMPLE])]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
After = Annotated[
    str | None, Query(pattern=_ID, description="The id of the last thing seen; the list goes on behind it.")
]

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json"), Field(examples=[1.25])]
"""Dollars; exact inside, a number in JSON."""


class Answer(BaseModel):
    """The base of every answer's shape."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
