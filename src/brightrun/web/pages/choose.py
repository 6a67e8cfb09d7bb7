"""Which conversations of a dataset's file are to be learned: the page of an account's export."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brightrun.jobs.add_dataset import choices_of
from brightrun.jobs.ownership import owned_file
from brightrun.web.api.schemas import FileView
from brightrun.web.deps import CurrentPrincipal, FileId, StudioDep
from brightrun.web.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/datasets/{file_id}/choose")
def show_choose(request: Request, studio: StudioDep, principal: CurrentPrincipal, file_id: FileId) -> Response:
    """The page; its list comes by script, since it may have thousands of lines."""
    with studio.database.reading() as session:
        row = owned_file(session, principal.owner_id, file_id)
        file, is_whole = FileView.of(row), not choices_of(row).choose
    return page(
        request, "choose.html", title=f"Choose conversations of {file.file_name}", active="datasets", file=file,
        is_whole=is_whole,
    )  # fmt: skip
