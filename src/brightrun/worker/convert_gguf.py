"""Turns a pulled GGUF file into the safetensors folder every other part works with. Done once, at pull."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from brightrun.errors import ModelError
from brightrun.files import write_text
from brightrun.worker.bundle_tokenizer import TOKENIZER_CLASS, without_unportable


def convert_gguf(source: Path, target: Path) -> None:
    """Write the model of `source` into the folder `target`: fp32 weights, config, tokenizer, template.

    fp32 keeps the dequantized values exactly, so the folder is the GGUF's model to the last bit.

    Raises:
        ModelError: the file is not a GGUF that transformers can read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source.name} cannot be read as GGUF: {error}") from error
    config: Any = model.config
    if hasattr(config, "quantization_config"):  # the weights are plain fp32 from here on
        del config.quantization_config
    config.architectures = [type(model).__name__]
    config.save_pretrained(target)
    tokenizer.save_pretrained(target)
    make_portable(target)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})


def make_portable(folder: Path) -> None:
    """What transformers 5 saved in `folder`, so that version 4 reads the same model and tokenizer from it.

    Version 4 has the base of the rotary embedding at the top of config.json. Where it stands only in version 5's
    `rope_parameters`, version 4 silently takes 10,000, and the model is another one.
    """
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if theta := (config.get("rope_parameters") or {}).get("rope_theta"):
        write_text(path, _json(config | {"rope_theta": theta}))
    path = folder / "tokenizer_config.json"
    settings = without_unportable(json.loads(path.read_text(encoding="utf-8")))
    write_text(path, _json(settings | {"tokenizer_class": TOKENIZER_CLASS}))


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
