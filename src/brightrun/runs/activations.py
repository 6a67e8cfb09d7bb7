"""What a layer's forward pass saves for its backward pass, counted in numbers per token. Knows no machine.

Counted with `torch.autograd.graph.saved_tensors_hooks` in the worker's own step (transformers 5.23, PEFT 0.21.2,
TRL 1.16, 2026-11-25): at SmolLM2's shape the formula gives the count to 0.3 %, without and with dropout. In bf16 at
Llama 3 70B's shape it gives the 365 KB per token and layer of the product's training notes, section 2.4.
"""

from __future__ import annotations

from typing import Literal

from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.runs.flops import MicroBatchSize


def saved_per_token(
    entry: BaseModelEntry, hyperparameters: Hyperparameters, *, kind: Literal["cpu", "cuda"], masked: bool
) -> int:
    """Bytes that one layer keeps of one token where nothing is recomputed.

    Args:
        entry: The base model.
        hyperparameters: Rank, dropout and the adapted modules matter.
        kind: fp32 throughout on a CPU; bf16 with norms in fp32 on a GPU.
        masked: An attention mask is given (several sequences in the row), for which keys and values are repeated for
            every head.
    """
    width = 4 if kind == "cpu" else 2
    hidden, inner = entry.hidden_size, entry.intermediate_size
    attention_flops, kv = entry.heads * entry.head_dim, entry.kv_heads * entry.head_dim
    keys_and_values = 2 * attention_flops if masked else 2 * kv
    # The gate, its activation, the up projection; query, output, keys, values; each head's normalizer.
    numbers = 3 * inner + 2 * attention_flops + keys_and_values
    fp32 = 2 * hidden + entry.heads + 2  # both norms keep their input in fp32
    return (
        width * (numbers + hyperparameters.r * len(hyperparameters.target_modules))
        + 4 * fp32
        + _inputs(entry, hyperparameters, width, mask_width=width if kind == "cpu" else 1)
    )


def _inputs(entry: BaseModelEntry, hyperparameters: Hyperparameters, width: int, *, mask_width: int) -> int:
    """Bytes of the adapters' inputs: shared ones once, or with dropout a dropped copy and a mask for each adapter.

    A CPU keeps the mask in the numbers' own type, a GPU in bytes. The attention's output is kept anyway.
    """
    shapes, targets = entry.projection_shapes(), set(hyperparameters.target_modules)
    if hyperparameters.lora_dropout > 0:
        return sum(shapes[name][0] for name in targets) * (width + mask_width)
    groups = ({"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj"}, {"down_proj"})
    shared = [max(shapes[name][0] for name in group & targets) for group in groups if group & targets]
    return sum(shared) * width


def mask_bytes(
    micro_batch: MicroBatchSize, entry: BaseModelEntry, *, kind: Literal["cpu", "cuda"], gradient_checkpointing: bool
) -> int:
    """Masks of a row with several sequences: tokens² numbers per sequence of the batch.

    On a CPU every layer makes and keeps its own in fp32 (counted); on a GPU one of bytes and one in bf16 (assumed).
    """
    if not micro_batch.is_masked:
        return 0
    batch = 1 if micro_batch.is_joined else len(micro_batch.sizes)
    square = batch * (micro_batch.computed_tokens // batch) ** 2
    copies = 1 if gradient_checkpointing else entry.layers
    return square * (1 + 4 * copies) if kind == "cpu" else square * 3
