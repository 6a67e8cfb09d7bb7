"""One conversation of a file, mended as training would have it, for looking at what is learnt."""

from __future__ import annotations

from pathlib import Path

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.examination import Examination
from brightrun.datasets.options import ReadOptions
from brightrun.errors import DatasetError
from brightrun.templating.chat_model import ChatModel


def preview_conversation(path: Path, wanted: str, *, chat: ChatModel, options: ReadOptions) -> Conversation:
    """The conversation with that id (its beginning is enough), or with that number from 1.

    Raises:
        DatasetError: the file is unusable, no conversation is meant, or nothing of it is learnt.
    """
    count = 0
    examination = Examination(path, chat, options)
    for number, examined in enumerate(examination.conversations(), start=1):
        count = number
        conversation = examined.conversation
        if wanted == str(number) or (conversation.id.startswith(wanted) and not wanted.isdecimal()):
            examination.refuse()  # a broken conversation before this one was passed over: the numbers would be wrong
            if not examined.trained_tokens:
                raise DatasetError(f"Nothing of conversation {conversation.id} is learnt; the audit says why.")
            return conversation
    raise DatasetError(
        f"{path.name} has no conversation {wanted}.",
        hint=f"Give a number from 1 to {count}, or a conversation's id.",
    )
