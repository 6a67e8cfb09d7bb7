"""Reads tokenizer and template of a pulled model's folder. Knows nothing of weights or of hubs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brightrun.errors import ModelError
from brightrun.templating.assemble import assemble_chat_model
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer import Tokenizer
from brightrun.templating.tokenizer_json import read_tokenizer_json

_TOKEN_FIELDS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
_PULL_AGAIN = "Pull the model again with `brightrun model pull`."


def load_chat_model(folder: Path, *, name: str | None = None) -> ChatModel:
    """The ChatModel of a folder with tokenizer.json and tokenizer_config.json.

    The template is chat_template.jinja or, in older folders, a field of the configuration. Without `name` it
    is called as the folder is.

    Raises:
        ModelError: A file is missing or malformed, or there is no chat template that can be trained with.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such folder.")
    config = _read_object(folder / "tokenizer_config.json", required=True)
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder}: there is no tokenizer.json.", hint=_PULL_AGAIN)
    tokens = {name: text for name in _TOKEN_FIELDS if (text := _token_text(config.get(name))) is not None}
    tokenizer = read_tokenizer_json(folder / "tokenizer.json", also_special=tokens.values())
    return assemble_chat_model(
        name=name or folder.resolve().name,
        source=str(folder),
        tokenizer=tokenizer,
        template=ChatTemplate(_template_text(folder, config), tokens),
        bos=tokens.get("bos_token"),
        stops=_stops(folder, tokenizer, tokens.get("eos_token")),
        pad=tokens.get("pad_token"),
    )


def _template_text(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    text = _read_text(file) if file.is_file() else config.get("chat_template")
    if isinstance(text, list):
        named = {entry.get("name"): entry.get("template") for entry in text if isinstance(entry, dict)}
        text = named.get("default")
    if not isinstance(text, str) or not text.strip():
        raise ModelError(
            f"{folder}: the model has no chat template, so it is a base model that has not learnt turns.",
            hint="Choose the Instruct model of the same family.",
        )
    return text


def _stops(folder: Path, tokenizer: Tokenizer, eos: str | None) -> set[int]:
    """Ends of generation as the folder names them: the tokenizer's and generation_config.json's."""
    stops = set()
    if eos is not None:
        number = tokenizer.token_id(eos)
        if number is None:
            raise ModelError(f"{folder}: the tokenizer does not know its own eos_token {eos}.", hint=_PULL_AGAIN)
        stops.add(number)
    named = _read_object(folder / "generation_config.json", required=False).get("eos_token_id")
    stops.update(number for number in (named if isinstance(named, list) else [named]) if isinstance(number, int))
    return stops


def _token_text(value: object) -> str | None:
    """A control string as tokenizer_config.json has it: text, an object with `content`, or null."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) and text else None


def _read_object(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.is_file():
        if required:
            raise ModelError(f"{path.parent}: there is no {path.name}.", hint=_PULL_AGAIN)
        return {}
    try:
        value = json.loads(_read_text(path))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}).", hint=_PULL_AGAIN) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: an object was expected.", hint=_PULL_AGAIN)
    return value


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not readable as text ({error}).", hint=_PULL_AGAIN) from error
