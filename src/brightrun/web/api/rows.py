"""A few rows as a choice of columns would read them, before a file is read so. Stores nothing."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from brightrun.datasets.options import ColumnMeaning
from brightrun.datasets.try_rows import TriedRow, try_rows
from brightrun.web.deps import PLAIN_JSON, Answer, CurrentPrincipal
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training/files", tags=["datasets"])
MAX_ROWS = 10


class RowsRequest(BaseModel):
    """Rows by their columns, as a refusal's `details.rows` has them, and what the columns mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: list[dict[str, JsonValue]] = Field(
        min_length=1, max_length=MAX_ROWS, examples=[[{"Frage": "Wie geht es?", "Antwort": "Gut."}]]
    )
    columns: dict[str, ColumnMeaning] = Field(examples=[{"Frage": "prompt", "Antwort": "answer"}])


class RowsView(Answer):
    """The rows as they would be read."""

    object: Literal["training.rows"] = "training.rows"
    data: list[TriedRow]


@router.post("/rows", dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 413))
def show_rows(_: CurrentPrincipal, request: RowsRequest) -> RowsView:
    """Rows as a file of them would be read, with these meanings of its columns; nothing is stored."""
    return RowsView(data=try_rows(request.rows, request.columns))
