"""Datasets over HTTP: upload, list, audit, preview, delete."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from brightrun.catalogue.folders import find_pulled
from brightrun.catalogue.models import find_model
from brightrun.database import files
from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.options import ReadingChoices, RecordChoices, columns_of_pairs
from brightrun.datasets.preview import preview_conversation
from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.errors import ModelError, NotFound
from brightrun.jobs.add_dataset import add_dataset, fetch_dataset, read_again, read_options_of, remove_dataset
from brightrun.jobs.ownership import owned_file
from brightrun.jobs.studio import Studio
from brightrun.plain_text import command
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.templating.model_folder import load_chat_model
from brightrun.web.api.schemas import FileView, Listed
from brightrun.web.deps import PLAIN_JSON, After, Answer, CurrentPrincipal, FileId, Limit, OptionsDep, StudioDep
from brightrun.web.problems import BodyUnreadable, declared
from brightrun.web.receive import receive_form_file, scratch_folder
from brightrun.web.upload_progress import UploadProgress

PATH = "/api/training/files"
_UPLOAD_ID = r"^[A-Za-z0-9_-]{1,100}$"
router = APIRouter(prefix=PATH, tags=["datasets"])
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {"file": {"type": "string", "format": "binary", "description": "The dataset."}},
                }
            }
        },
    }
}


class ReadingQuery(RecordChoices):
    """How the file's records are to be read; the same choices hold in every job that is made of the dataset."""

    column: tuple[str, ...] = Field(
        (), description="What a column means, as `NAME=MEANING`: prompt, answer, system, ignore …"
    )

    def choices(self) -> ReadingChoices:
        """Raises DatasetError where a column's meaning is unknown."""
        given = self.model_dump(exclude={"column"})
        return ReadingChoices.model_validate(given | {"columns": columns_of_pairs(self.column)})


class Deleted(Answer):
    """A dataset that is gone."""

    object: Literal["training.file"] = "training.file"
    id: str
    deleted: Literal[True] = True


class UploadView(Answer):
    """A file that is arriving or being checked."""

    object: Literal["training.upload"] = "training.upload"
    id: str
    done_bytes: int = Field(description="Read and checked so far.")
    total_bytes: int | None = Field(description="Of the file; not known while it is still arriving.")


class Piece(Answer):
    """A stretch of text; `trained` says whether it carries loss."""

    text: str
    trained: bool


class Preview(Answer):
    """A conversation as the model sees it."""

    conversation: str
    model: str
    tokens: int
    trained_tokens: int
    answers: int
    pieces: list[Piece]


@router.post("", status_code=201, responses=declared(400, 401, 403, 413), openapi_extra=_FORM)
async def upload_file(
    request: Request,
    studio: StudioDep,
    options: OptionsDep,
    principal: CurrentPrincipal,
    reading: Annotated[ReadingQuery, Query()],
    content_sha256: Annotated[
        str | None,
        Header(alias="x-content-sha256", pattern="^[0-9a-fA-F]{64}$", description="Refuse a file with other bytes."),
    ] = None,
    upload_id: Annotated[
        str | None,
        Header(alias="x-upload-id", pattern=_UPLOAD_ID, description="Any id; how far the checks are is told under it."),
    ] = None,
) -> FileView:
    """Upload a dataset (form field `file`); the same bytes again are the same dataset."""
    with _uploads(request).follow(principal.owner_id, upload_id) as progress, scratch_folder(studio.home) as folder:
        received = await receive_form_file(request, folder, field="file", limit=options.upload_bytes)
        if content_sha256 is not None and content_sha256.lower() != received.sha256:
            raise BodyUnreadable(
                "The file arrived with other bytes than were announced.", hint="Send it again.",
                details={"sha256": received.sha256, "param": "x-content-sha256"},
            )  # fmt: skip

        def add() -> FileView:
            row = add_dataset(
                studio, owner_id=principal.owner_id, file_name=received.name, source=received.path,
                choices=reading.choices(), progress=progress,
            )  # fmt: skip
            return FileView.of(row)

        return await run_in_threadpool(add)


@router.get("/uploads/{upload_id}", responses=declared(401, 403, 404))
def show_upload(
    request: Request,
    principal: CurrentPrincipal,
    upload_id: Annotated[str, Path(pattern=_UPLOAD_ID, description="What was sent as `x-upload-id`.")],
) -> UploadView:
    """How far the checks of a file are whose upload is not yet answered."""
    checked = _uploads(request).of(principal.owner_id, upload_id)
    if checked is None:
        raise NotFound(f"There is no upload {upload_id} here, or it is over.")
    return UploadView(id=upload_id, done_bytes=checked.done, total_bytes=checked.total)


@router.post("/sample", status_code=201, responses=declared(401, 403))
def add_sample(studio: StudioDep, principal: CurrentPrincipal) -> FileView:
    """Add the sample dataset that comes with the product, as if it had been uploaded."""
    path = sample_dataset_path()
    return FileView.of(add_dataset(studio, owner_id=principal.owner_id, file_name=path.name, source=path))


@router.get("", responses=declared(401, 403, 404))
def list_files(
    studio: StudioDep, principal: CurrentPrincipal, limit: Limit = 20, after: After = None
) -> Listed[FileView]:
    """Datasets, newest first."""
    with studio.database.reading() as session:
        page = files.list_page(session, owner_id=principal.owner_id, limit=limit, after=after)
    return Listed(data=[FileView.of(row) for row in page.items], has_more=page.has_more)


@router.post(
    "/{file_id}/read-again", status_code=201, dependencies=PLAIN_JSON, responses=declared(400, 401, 403, 404, 413)
)
def read_file_again(
    studio: StudioDep, principal: CurrentPrincipal, file_id: FileId, choices: ReadingChoices
) -> FileView:
    """The same file read with other choices, as a dataset of its own; what is not sent stays as it was chosen."""
    changes = {name: getattr(choices, name) for name in choices.model_fields_set}
    return FileView.of(read_again(studio, owner_id=principal.owner_id, file_id=file_id, changes=changes))


@router.get("/{file_id}", responses=declared(401, 403, 404))
def show_file(studio: StudioDep, principal: CurrentPrincipal, file_id: FileId) -> FileView:
    """One dataset."""
    with studio.database.reading() as session:
        return FileView.of(owned_file(session, principal.owner_id, file_id))


@router.delete("/{file_id}", responses=declared(401, 403, 404, 409))
def delete_file(studio: StudioDep, principal: CurrentPrincipal, file_id: FileId) -> Deleted:
    """Delete a dataset; refused (409) once a job was made of it."""
    remove_dataset(studio, owner_id=principal.owner_id, file_id=file_id)
    return Deleted(id=file_id)


@router.get("/{file_id}/audit", responses=declared(401, 403, 404))
def show_audit(studio: StudioDep, principal: CurrentPrincipal, file_id: FileId) -> AuditReport:
    """Everything the audit found."""
    with studio.database.reading() as session:
        row = owned_file(session, principal.owner_id, file_id)
    if row.audit is None:
        raise NotFound(f"There is no audit of {row.file_name}.", hint="Upload the file again.")
    return AuditReport.model_validate(row.audit)


@router.get("/{file_id}/preview", responses=declared(400, 401, 403, 404))
def preview_file(
    studio: StudioDep,
    principal: CurrentPrincipal,
    file_id: FileId,
    conversation: Annotated[
        str, Query(min_length=1, max_length=200, description="Its number from 1, or its id.")
    ] = "1",
    model: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Base model; absent: Llama 3.")
    ] = None,
) -> Preview:
    """A conversation as the model sees it, and which parts of it are trained on."""
    with scratch_folder(studio.home) as folder:
        path = folder / "dataset"
        row = fetch_dataset(studio, owner_id=principal.owner_id, file_id=file_id, target=path)
        chat = _chat_model(studio, model)
        messages = preview_conversation(path, conversation, chat=chat, options=read_options_of(row))
    encoded = chat.encode_conversation(messages.messages())
    pieces = [Piece(text=text, trained=trained) for text, trained in chat.preview_spans(messages.messages())]
    return Preview(
        conversation=messages.id, model=chat.name, tokens=len(encoded.input_ids), trained_tokens=encoded.trained_tokens,
        answers=len(encoded.answer_spans), pieces=pieces,
    )  # fmt: skip


def _uploads(request: Request) -> UploadProgress:
    uploads = request.app.state.uploads
    assert isinstance(uploads, UploadProgress)
    return uploads


def _chat_model(studio: Studio, name: str | None) -> ChatModel:
    """The tokenizer and template of a model: its own where it is pulled, Meta's file for Llama 3 where not."""
    if name is None:
        return llama3_chat_model()
    folder = find_pulled(name, studio.models)
    if folder is not None:
        return load_chat_model(folder)
    entry = find_model(name)
    if entry.name.startswith("llama-3"):
        return llama3_chat_model()
    hint = f"Pull it: {command('brightrun model pull', entry.name)}"
    raise ModelError(f"The tokenizer of {entry.name} is not here.", hint=hint)
