"""Finds the base model a person named: pulled or not, and how its messages are tokenized."""

from __future__ import annotations

from pathlib import Path

from brightrun.catalogue.folders import find_pulled, read_model_record
from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.catalogue.models import BaseModelEntry, find_model
from brightrun.errors import ModelError
from brightrun.plain_text import command
from brightrun.settings import read_settings
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.templating.model_folder import load_chat_model

REFERENCE_MODEL = "llama-3-70b-instruct"


def pulled_model(name: str) -> tuple[Path, BaseModelEntry]:
    """The folder and entry of a pulled model.

    Raises:
        ModelError: unknown, not pulled, or pulled and not yet converted.
    """
    folder = find_pulled(name, read_settings().models)
    if folder is None:
        known = find_model(name).name
        hint = f"Pull it: {command('brightrun model pull', known)}"
        raise ModelError(f"The base model {known} is not on this machine.", hint=hint)
    if read_model_record(folder).needs_conversion:
        hint = f"Pull it again: {command('brightrun model pull', name)}"
        raise ModelError(f"{name} was pulled but not converted.", hint=hint)
    return folder, entry_of_folder(folder)


def context_of(name: str) -> int:
    """How many tokens a model can read. Raises ModelError where it is unknown."""
    folder = find_pulled(name, read_settings().models)
    return (find_model(name) if folder is None else entry_of_folder(folder)).context_length


def chat_model_for(name: str) -> ChatModel:
    """The tokenizer and template of a model: its own where it is pulled, Meta's file for Llama 3 where not.

    Raises:
        ModelError: unknown, or not pulled and not of the Llama 3 family.
    """
    folder = find_pulled(name, read_settings().models)
    if folder is not None:
        return load_chat_model(pulled_model(name)[0])
    entry = find_model(name)
    if entry.name.startswith("llama-3"):
        return llama3_chat_model()
    raise ModelError(
        f"The tokenizer of {entry.name} is not on this machine.",
        hint=f"Pull it: {command('brightrun model pull', entry.name)}",
    )
