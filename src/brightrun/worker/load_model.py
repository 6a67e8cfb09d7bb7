"""Loads a base model the way a run holds it: NF4 on CUDA, fp32 on a CPU, or NF4 on a CPU where the recipe says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from brightrun.errors import ModelError


@dataclass(slots=True)
class LoadedBase:
    """A base model ready to answer or to carry an adapter. `model` is a transformers causal language model."""

    model: Any
    tokenizer: Any
    device: torch.device
    nf4: bool

    @contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients; on CUDA under the same bf16 autocast as training, so that numbers are comparable."""
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            yield


def load_base(folder: Path, *, nf4: bool) -> LoadedBase:
    """Load the model in `folder`.

    On CUDA the compute type is bf16; on a CPU fp32, since bf16 products there are about 60 times slower (measured).
    Embeddings, output head and norms stay unquantized; nothing is upcast, so `prepare_model_for_kbit_training` is not
    called (it would turn 4.2 GB of a 70B model into 8.4 GB).

    Raises:
        ModelError: the folder holds no model that transformers can load.
    """
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    compute = torch.bfloat16 if device.type == "cuda" else torch.float32
    quantization = (
        BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
        )
        if nf4
        else None
    )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=compute,
            device_map={"": 0 if device.type == "cuda" else "cpu"},
            quantization_config=quantization,
            attn_implementation="sdpa",
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"The model in {folder.name} cannot be loaded: {error}") from error
    model.eval()
    if nf4:
        _use_trainable_layout(model)
        if device.type == "cpu":
            _release_weights_file(model)
    return LoadedBase(model=model, tokenizer=tokenizer, device=device, nf4=nf4)


def _use_trainable_layout(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for AVX-512 when they are first evaluated on a CPU.

    The base is asked before it is trained, and the repacked layout computes in bf16 and passes no gradient back: every
    layer below would learn from nothing (bitsandbytes 0.50.2, `Linear4bit.forward`).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _release_weights_file(model: Any) -> None:
    """Copy what stayed unquantized, so that the file of weights is no longer mapped.

    Embeddings and norms are views into it and would hold the whole file in memory, with the projections in fp32 that
    were quantized from it: 425 MB at SmolLM2's shape, as much as four fifths of the unquantized model.
    """
    for parameter in model.parameters():
        if parameter.dtype.is_floating_point:
            parameter.data = parameter.data.clone()
