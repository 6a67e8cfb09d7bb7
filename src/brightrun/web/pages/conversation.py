"""One conversation of a dataset, read as training reads it: what is trained on, what is context, what was set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from brightrun.database.tables import TrainingFile
from brightrun.datasets.conversation import Conversation, Turn
from brightrun.datasets.inspect import InspectedConversation, find_number, inspect_conversation
from brightrun.errors import DatasetError, NotFound
from brightrun.jobs.add_dataset import fetch_dataset, read_options_of
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.web.deps import CurrentPrincipal, FileId, StudioDep
from brightrun.web.pages.dataset_texts import finding_done, finding_fix, finding_title
from brightrun.web.pages.rendering import page
from brightrun.web.receive import scratch_folder

router = APIRouter(include_in_schema=False, prefix="/datasets/{file_id}/conversations")

Number = Annotated[int, Path(ge=1, le=10**9)]
State = Literal["trained", "context", "set aside", "not offered", "left out"]


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn and what becomes of it. `written`: the text before it was repaired, where it was."""

    turn: Turn
    state: State
    written: str | None


@router.get("")
def find_conversation(
    studio: StudioDep,
    principal: CurrentPrincipal,
    file_id: FileId,
    find: Annotated[str, Query(min_length=1, max_length=200)] = "1",
) -> Response:
    """To the conversation with that number or id."""
    with scratch_folder(studio.home) as folder:
        path = folder / "dataset"
        row = fetch_dataset(studio, owner_id=principal.owner_id, file_id=file_id, target=path)
        try:
            number = find_number(path, find.strip(), options=read_options_of(row))
        except DatasetError as error:
            raise NotFound(f"{row.file_name} has no conversation {find}.", hint=error.hint) from error
    return RedirectResponse(f"/datasets/{quote(file_id)}/conversations/{number}", 303)


@router.get("/{number}")
def show_conversation(
    request: Request, studio: StudioDep, principal: CurrentPrincipal, file_id: FileId, number: Number
) -> Response:
    """The conversation with that number from 1."""
    chat = llama3_chat_model()
    with scratch_folder(studio.home) as folder:
        path = folder / "dataset"
        row = fetch_dataset(studio, owner_id=principal.owner_id, file_id=file_id, target=path)
        if row.conversations is not None and number > row.conversations:
            raise NotFound(
                f"{row.file_name} has no conversation {number:,}.",
                hint=f"Give a number from 1 to {row.conversations:,}, or a conversation's id.",
            )
        looked = inspect_conversation(path, number, chat=chat, options=read_options_of(row))
    values = _shown(row, looked) | _as_read(looked, chat)
    return page(request, "conversation.html", active="datasets", **values)


def _shown(row: TrainingFile, looked: InspectedConversation) -> dict[str, Any]:
    return {
        "title": f"Conversation {looked.number:,} of {row.file_name}",
        "file": row,
        "looked": looked,
        "turns": shown_turns(looked.written, looked.repaired, kept=looked.kept),
        "finding_title": finding_title,
        "finding_fix": finding_fix,
        "finding_done": finding_done,
    }


def _as_read(looked: InspectedConversation, chat: ChatModel) -> dict[str, Any]:
    """The very text that the model is given, in pieces with whether they are trained on; none where nothing is."""
    if not looked.kept:
        return {"pieces": [], "tokens": None, "trained_tokens": None, "tokenizer": chat.name}
    messages = looked.repaired.messages()
    encoded = chat.encode_conversation(messages)
    return {
        "pieces": chat.preview_spans(messages),
        "tokens": len(encoded.input_ids),
        "trained_tokens": encoded.trained_tokens,
        "tokenizer": chat.name,
    }


def shown_turns(written: Conversation, repaired: Conversation, *, kept: bool) -> list[ShownTurn]:
    """Every turn of the file. Behind the last trained answer nothing is part of the sequence."""
    last = max((turn.number for turn in repaired.turns if turn.trainable), default=0) if kept else 0
    before = {turn.number: turn.content for turn in written.turns}
    return [
        ShownTurn(turn, _state(turn, last), before.get(turn.number) if turn.repaired else None)
        for turn in repaired.turns
    ]


def _state(turn: Turn, last: int) -> State:
    if turn.excluded is not None:
        return "set aside"
    if turn.is_answer and not turn.target:
        return "not offered"
    if turn.number > last:
        return "left out"
    return "trained" if turn.is_answer else "context"
