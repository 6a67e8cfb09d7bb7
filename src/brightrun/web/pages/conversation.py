"""One conversation of a dataset, read as training reads it: what is learnt, what is context, what was set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from brightrun.chat.chat_model import ChatModel
from brightrun.chat.llama3 import llama3_chat_model
from brightrun.database.tables import TrainingFile
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.look_at import LookedAt, find_number, look_at
from brightrun.datasets.options import ReadOptions
from brightrun.errors import DatasetError, NotFound
from brightrun.jobs.add_dataset import fetch_dataset
from brightrun.web.pages.dataset_words import finding_done, finding_mend, finding_title
from brightrun.web.pages.rendering import page
from brightrun.web.parts import FileId, PersonPart, StudioPart
from brightrun.web.receive import scratch_folder

router = APIRouter(include_in_schema=False, prefix="/datasets/{file_id}/conversations")

Number = Annotated[int, Path(ge=1, le=10**9)]
State = Literal["learnt", "context", "set aside", "not offered", "left out"]


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn and what becomes of it. `written`: the text before it was repaired, where it was."""

    turn: Turn
    state: State
    written: str | None


@router.get("")
def find_conversation(
    studio: StudioPart,
    person: PersonPart,
    file_id: FileId,
    find: Annotated[str, Query(min_length=1, max_length=200)] = "1",
) -> Response:
    """To the conversation with that number or id."""
    with scratch_folder(studio.home) as folder:
        path = folder / "dataset"
        row = fetch_dataset(studio, owner_id=person.owner_id, file_id=file_id, target=path)
        try:
            number = find_number(path, find.strip(), options=ReadOptions())
        except DatasetError as error:
            raise NotFound(f"{row.file_name} has no conversation {find}.", hint=error.hint) from error
    return RedirectResponse(f"/datasets/{quote(file_id)}/conversations/{number}", 303)


@router.get("/{number}")
def show_conversation(
    request: Request, studio: StudioPart, person: PersonPart, file_id: FileId, number: Number
) -> Response:
    """The conversation with that number from 1."""
    chat = llama3_chat_model()
    with scratch_folder(studio.home) as folder:
        path = folder / "dataset"
        row = fetch_dataset(studio, owner_id=person.owner_id, file_id=file_id, target=path)
        if row.conversations is not None and number > row.conversations:
            raise NotFound(
                f"{row.file_name} has no conversation {number:,}.",
                hint=f"Give a number from 1 to {row.conversations:,}, or a conversation's id.",
            )
        looked = look_at(path, number, chat=chat, options=ReadOptions())
    values = _shown(row, looked) | _as_read(looked, chat)
    return page(request, "conversation.html", active="datasets", **values)


def _shown(row: TrainingFile, looked: LookedAt) -> dict[str, Any]:
    return {
        "title": f"Conversation {looked.number:,} of {row.file_name}",
        "file": row,
        "looked": looked,
        "turns": shown_turns(looked.written, looked.mended, kept=looked.kept),
        "finding_title": finding_title,
        "finding_mend": finding_mend,
        "finding_done": finding_done,
    }


def _as_read(looked: LookedAt, chat: ChatModel) -> dict[str, Any]:
    """The very text that the model is given, in pieces with whether they are learnt; none where nothing is."""
    if not looked.kept:
        return {"pieces": [], "tokens": None, "learnt_tokens": None, "tokenizer": chat.name}
    messages = looked.mended.messages()
    encoded = chat.encode_conversation(messages)
    return {
        "pieces": chat.preview_spans(messages),
        "tokens": len(encoded.input_ids),
        "learnt_tokens": encoded.learnt_tokens,
        "tokenizer": chat.name,
    }


def shown_turns(written: Conversation, mended: Conversation, *, kept: bool) -> list[ShownTurn]:
    """Every turn of the file. Behind the last learnt answer nothing is part of the sequence."""
    last = max((turn.number for turn in mended.turns if turn.trainable), default=0) if kept else 0
    before = {turn.number: turn.content for turn in written.turns}
    return [
        ShownTurn(turn, _state(turn, last), before.get(turn.number) if turn.repaired else None) for turn in mended.turns
    ]


def _state(turn: Turn, last: int) -> State:
    if turn.quarantined is not None:
        return "set aside"
    if turn.is_answer and not turn.target:
        return "not offered"
    if turn.number > last:
        return "left out"
    return "learnt" if turn.is_answer else "context"
