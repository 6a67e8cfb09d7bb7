"""The list of datasets, and the place where one is dropped."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.database import files
from brightrun.web.api.shapes import FileView
from brightrun.web.pages.dataset_words import format_words
from brightrun.web.pages.rendering import page
from brightrun.web.parts import After, OptionsPart, PersonPart, StudioPart

router = APIRouter(include_in_schema=False)

_AT_ONCE = 25


@router.get("/datasets")
def show_datasets(
    request: Request, studio: StudioPart, options: OptionsPart, person: PersonPart, after: After = None
) -> Response:
    """Newest first."""
    with studio.database.reading() as session:
        found = files.list_page(session, owner_id=person.owner_id, limit=_AT_ONCE, after=after)
    rows = [FileView.of(row) for row in found.items]
    return page(
        request, "datasets.html", title="Datasets", active="datasets", rows=rows, has_more=found.has_more, after=after,
        most_bytes=options.upload_bytes, format_words=format_words,
    )  # fmt: skip
