"""Memory of a run, counted from shapes: rough, and with its parts shown. Knows no machine's own memory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import Hyperparameters

NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes per weight in NF4 with double quantisation (QLoRA, arXiv 2305.14314): 4.127 bits."""
HEAD_TILE_BYTES = 4096 * 32768 * 4
"""TRL 1.16 computes the output head in tiles of 4,096 tokens × 32,768 words; one in fp32."""
PROGRAM_BYTES = {"cpu": 700_000_000, "cuda": 1_200_000_000}
"""Python with the training stack, and on a GPU the driver's context. Rough."""


class MemoryEstimate(BaseModel):
    """Bytes by purpose; `total_bytes` is their sum. Expect it to be wrong by a fifth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_bytes: int
    adapter_bytes: int
    activation_bytes: int
    head_bytes: int
    program_bytes: int
    total_bytes: int


def estimate_memory(
    entry: BaseModelEntry,
    hyperparameters: Hyperparameters,
    *,
    adapter_parameters: int,
    row_tokens: int,
    kind: str,
    recompute: bool,
) -> MemoryEstimate:
    """The peak of a run whose largest row has `row_tokens` tokens.

    Base: all weights in fp32 on a CPU; on a GPU projections in NF4 and the rest in bf16, or all in bf16.
    Adapter: weights and gradients in fp32, the optimizer's two states in fp32 or 8 bit. Activations: 8 hidden
    and 4 inner widths per token and layer (360 KB for Llama 3 70B in bf16; 365 were measured), or with
    recomputation one hidden width per layer and twice one layer's share.
    """
    width = 4 if kind == "cpu" else 2
    states = 2 if "8bit" in hyperparameters.optim else 8
    per_layer = row_tokens * (8 * entry.hidden_size + 4 * entry.intermediate_size) * width
    kept_inputs = row_tokens * entry.hidden_size * width * entry.layers
    parts = {
        "base_bytes": _base_bytes(entry, hyperparameters, kind, width),
        "adapter_bytes": adapter_parameters * (4 + 4 + states),
        "activation_bytes": kept_inputs + 2 * per_layer if recompute else per_layer * entry.layers,
        "head_bytes": 2 * min(HEAD_TILE_BYTES, row_tokens * entry.vocab_size * 4),
        "program_bytes": PROGRAM_BYTES[kind],
    }
    return MemoryEstimate(**parts, total_bytes=sum(parts.values()))


def _base_bytes(entry: BaseModelEntry, hyperparameters: Hyperparameters, kind: str, width: int) -> int:
    quantised = {"auto": kind == "cuda", "nf4": True, "none": False}[hyperparameters.quantization]
    if not quantised:
        return entry.parameters * width
    rest = entry.parameters - entry.linear_parameters
    largest = max(inputs * outputs for inputs, outputs in entry.projection_shapes().values())
    return int(entry.linear_parameters * NF4_BYTES) + rest * width + 2 * largest * width
