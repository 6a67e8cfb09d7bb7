"""The base model a plan or a run is for: as it was pulled, or what the catalogue and Meta's tokenizer tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brightrun.catalogue.folders import find_pulled, read_model_record
from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.catalogue.models import BaseModelEntry, find_model
from brightrun.errors import ModelError
from brightrun.plain_text import command
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.templating.model_folder import load_chat_model


@dataclass(frozen=True, slots=True)
class BaseChoice:
    """Shapes, tokenizer and template of a base model; `folder` is absent where it was not pulled."""

    entry: BaseModelEntry
    chat: ChatModel
    folder: Path | None


def pulled_base(folder: Path) -> BaseChoice:
    """The base model in that folder. Raises ModelError."""
    return BaseChoice(entry_of_folder(folder), load_chat_model(folder), folder)


def any_base(name: str, models_home: Path) -> BaseChoice:
    """The base model of that name, pulled or not: for a plan its shapes and its tokenizer are enough.

    Raises:
        ModelError: unknown, or neither pulled nor of the Llama 3 family, whose tokenizer is at hand.
    """
    folder = find_pulled(name, models_home)
    if folder is not None and not read_model_record(folder).needs_conversion:
        return pulled_base(folder)
    entry = find_model(name)
    if entry.name.startswith("llama-3"):
        return BaseChoice(entry, llama3_chat_model(), None)
    raise ModelError(
        f"The tokenizer of {entry.name} is not on this machine.",
        hint=f"Pull it: {command('brightrun model pull', entry.name)}",
    )
