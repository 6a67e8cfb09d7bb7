"""The entry of any pulled model: the catalogue's own, or one read from the folder's config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brightrun.catalogue.folders import ModelRecord, read_model_record
from brightrun.catalogue.models import BaseModelEntry, load_models
from brightrun.errors import ModelError


def entry_of_folder(folder: Path) -> BaseModelEntry:
    """The entry of a pulled model, from the catalogue where its name is known there, else from config.json.

    Raises:
        ModelError: record or config.json is missing, or the model is of a kind that cannot be trained.
    """
    record = read_model_record(folder)
    known = load_models().get(record.name)
    return known if known is not None else _entry_from_config(folder / "config.json", record)


TRAINABLE_KINDS = ("gemma3_text", "llama", "mistral", "qwen2", "qwen3", "smollm3")
"""Values of `model_type`: decoders of text whose layers have Llama's seven projections."""


def _require_known(path: Path, config: dict[str, Any]) -> None:
    kind = config.get("model_type", "llama")
    if kind in TRAINABLE_KINDS:
        return
    raise ModelError(
        f"{path}: models of the kind {kind!r:.40} cannot be trained.",
        hint=f"Choose one of {', '.join(TRAINABLE_KINDS)}; `brightrun model list` names some.",
        details={"model_type": kind},
    )


def _entry_from_config(path: Path, record: ModelRecord) -> BaseModelEntry:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        _require_known(path, config)
        shape = {
            "layers": config["num_hidden_layers"],
            "hidden_size": config["hidden_size"],
            "intermediate_size": config["intermediate_size"],
            "heads": config["num_attention_heads"],
            "kv_heads": config.get("num_key_value_heads") or config["num_attention_heads"],
            "head_dim": config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
            "vocab_size": config["vocab_size"],
            "context_length": config["max_position_embeddings"],
            "tied_embeddings": bool(config.get("tie_word_embeddings", False)),
        }
        about = {"name": record.name, "title": record.name, "license": record.license, "source": "folder"}
        draft = BaseModelEntry.model_validate({**about, **shape, "parameters": 1})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
        raise ModelError(
            f"{path} does not describe a model of the Llama kind: {reason}.",
            hint="Choose a Llama model in the Hugging Face format; `brightrun model list` names some.",
        ) from error
    return draft.model_copy(update={"parameters": draft.counted_parameters()})
