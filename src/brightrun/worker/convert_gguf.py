"""Turns a pulled GGUF file into the safetensors folder every other part works with. Done once, at pull."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from brightrun.errors import ModelError


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
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
