"""A base model's tokenizer as a bundle carries it: read alike by transformers 4 and 5, and by converters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brightrun.files import write_text
from brightrun.templating.chat_model import ChatModel

_TOKENIZER, _CONFIG, _TOKENS_MAP = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
# Reads tokenizer.json as it is, in transformers 4 and 5 alike. Version 5 writes `TokenizersBackend`, which 4 does not
# know, and classes named after a model may build another tokenizer than the file's.
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
# What only one of the two versions understands, what tells about the machine that wrote it, or what tokenizer.json and
# chat_template.jinja say already, where a second statement could differ.
_NOT_PORTABLE = (
    "backend",
    "auto_map",
    "processor_class",
    "is_local",
    "local_files_only",
    "name_or_path",
    "chat_template",
    "added_tokens_decoder",
    "add_prefix_space",
)
_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_TOKEN_LISTS = ("additional_special_tokens", "extra_special_tokens")


def write_tokenizer(target: Path, model_folder: Path, chat: ChatModel) -> None:
    """tokenizer.json as the model has it, and a tokenizer_config.json that changes nothing about it.

    The padding token becomes the one that we trained with, which ends no answer: with an end token in its place,
    libraries that leave padding out of the loss also leave out the end of every answer. Where every control token has
    another use, there is none. No token is named that tokenizer.json does not have: transformers would add it, with
    an id that the model's embedding has no row for.
    """
    import tokenizers

    shutil.copyfile(model_folder / _TOKENIZER, target / _TOKENIZER)
    inner = tokenizers.Tokenizer.from_file(str(target / _TOKENIZER))
    config = without_unportable(_read_config(model_folder))
    config["pad_token"] = chat.pad
    config = _with_known_tokens(config, lambda token: inner.token_to_id(token) is not None)
    config["tokenizer_class"] = TOKENIZER_CLASS
    splitting = json.loads(inner.to_str())["pre_tokenizer"] or {}
    # Version 4 takes what is not said here for `false`, whatever tokenizer.json says.
    if "add_prefix_space" in splitting:
        config["add_prefix_space"] = splitting["add_prefix_space"]
    write_text(target / _CONFIG, json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def without_unportable(config: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer's configuration without what the other version of transformers, or another machine, trips over."""
    return {name: value for name, value in config.items() if name not in _NOT_PORTABLE}


def _read_config(model_folder: Path) -> dict[str, Any]:
    """tokenizer_config.json; older folders have the control strings in a file of their own."""
    config: dict[str, Any] = json.loads((model_folder / _CONFIG).read_text(encoding="utf-8"))
    if (model_folder / _TOKENS_MAP).exists():
        config = json.loads((model_folder / _TOKENS_MAP).read_text(encoding="utf-8")) | config
    return config


def _with_known_tokens(config: dict[str, Any], is_known: Callable[[str], bool]) -> dict[str, Any]:
    """The configuration, naming only tokens that exist; version 5's list of further ones under the key both read."""
    kept = {name: value for name, value in config.items() if name not in (*_TOKENS, *_TOKEN_LISTS)}
    kept |= {name: value for name in _TOKENS if (value := config.get(name)) and is_known(_text(value))}
    extra = config.get("extra_special_tokens") or []
    listed = config.get("additional_special_tokens") or (extra if isinstance(extra, list) else [])
    if listed := [token for token in listed if is_known(_text(token))]:
        kept["additional_special_tokens"] = listed
    if isinstance(extra, dict) and (named := {name: token for name, token in extra.items() if is_known(_text(token))}):
        kept["extra_special_tokens"] = named
    return kept


def _text(token: Any) -> str:
    """A control string as the configuration has it: text, or an object with `content`."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token)
