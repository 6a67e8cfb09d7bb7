"""Download flagged rows of a dataset, with their reasons, as lines of JSON that are written while they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePath

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from brightrun.datasets.options import ReadOptions
from brightrun.datasets.problem_rows import problem_rows
from brightrun.jobs.add_dataset import fetch_dataset, read_options_of
from brightrun.plain_text import cut
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.web.deps import CurrentPrincipal, FileId, StudioDep
from brightrun.web.problems import declared
from brightrun.web.receive import scratch_folder
from brightrun.web.stored_files import attachment

router = APIRouter(prefix="/api/training/files/{file_id}", tags=["datasets"])
_LINES = "application/x-ndjson"


@router.get(
    "/problems",
    response_class=StreamingResponse,
    responses=declared(401, 403, 404)
    | {200: {"content": {_LINES: {"schema": {"type": "string"}}}, "description": "One line for each conversation."}},
)
def get_problem_rows(studio: StudioDep, principal: CurrentPrincipal, file_id: FileId) -> StreamingResponse:
    """The conversations in which the audit found a warning or an error, as they stand in the file, with the reasons.

    A line has `id`, `number`, `place`, `problems` and `messages`; repaired lines can be uploaded as OpenAI chat JSONL.
    """
    with ExitStack() as stack:
        path = stack.enter_context(scratch_folder(studio.home)) / "dataset"
        row = fetch_dataset(studio, owner_id=principal.owner_id, file_id=file_id, target=path)
        stem = cut(PurePath(row.file_name).stem, 200)
        headers = {"content-disposition": attachment(f"{stem}-problems.jsonl")}
        lines = _lines(path, read_options_of(row), stack.pop_all())
    return StreamingResponse(lines, media_type=_LINES, headers=headers)


def _lines(path: Path, options: ReadOptions, held: ExitStack) -> Iterator[str]:
    with held:
        for row in problem_rows(path, chat=llama3_chat_model(), options=options):
            yield row.model_dump_json(exclude_none=True) + "\n"
