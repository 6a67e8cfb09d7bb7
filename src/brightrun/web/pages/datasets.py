"""The list of datasets, and the place where one is dropped."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.database import files
from brightrun.datasets.readers.account_exports import ACCOUNT_EXPORTS
from brightrun.web.api.schemas import FileView
from brightrun.web.deps import After, CurrentPrincipal, OptionsDep, StudioDep
from brightrun.web.pages.dataset_texts import format_text
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)

_AT_ONCE = 25


@router.get("/datasets")
def show_datasets(
    request: Request, studio: StudioDep, options: OptionsDep, principal: CurrentPrincipal, after: After = None
) -> Response:
    """Newest first."""
    with studio.database.reading() as session:
        found = files.list_page(session, owner_id=principal.owner_id, limit=_AT_ONCE, after=after)
    rows = [FileView.of(row) for row in found.items]
    return page(
        request, "datasets.html", title="Datasets", active="datasets", rows=rows, has_more=found.has_more, after=after,
        most_bytes=options.upload_bytes, format_text=format_text, account_formats=ACCOUNT_EXPORTS,
    )  # fmt: skip
